"""The contracts of the mail domain."""
