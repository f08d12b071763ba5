"""The contracts of the auth domain."""
