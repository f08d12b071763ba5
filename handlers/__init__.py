"""What Grid8 does, one folder per domain, all of the same shape."""
