"""The contracts of the inbox domain."""
