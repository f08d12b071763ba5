"""Everything about Redis Streams, and nothing about any domain."""
