"""Handling chosen events again, by one group."""
