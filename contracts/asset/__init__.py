"""The contracts of the asset domain."""
