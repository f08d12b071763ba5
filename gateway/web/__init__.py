"""What the gateway shows of itself: the interface, a client for browsers, and a page that uses it."""
