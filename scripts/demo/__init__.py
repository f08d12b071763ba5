"""The demonstration: a client that knows nothing but the HTTP and realtime interface."""
