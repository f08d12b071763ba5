"""The event log of an organization, read as a feed."""
