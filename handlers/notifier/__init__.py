"""Serves events to sockets as they happen: WebSocket and SSE over one hub."""
