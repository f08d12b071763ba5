"""Auth's decisions, without I/O."""
