"""Events of internal producers: CloudEvents 1.0 in, event log out."""
