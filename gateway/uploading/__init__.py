"""Ways in for files: each streams bytes into the object store and ends in one command."""
