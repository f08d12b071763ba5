"""The WebSocket protocol (RFC 6455), as its server."""
