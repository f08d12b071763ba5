"""Everything that touches the outside world: servers, files, clocks of other people."""
