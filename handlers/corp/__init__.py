"""The corp domain."""
