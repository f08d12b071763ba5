"""The contracts of the corp domain."""
