"""Readiness questions put to a server, on bare sockets so that asking costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

Probe = Callable[[], Awaitable[bool]]
"""True once ready. OSError and TimeoutError mean "not yet", CannotStartError means never."""


def http_ready(host: str, port: int, path: str = "/ready") -> Probe:
    """Ready when GET answers 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"

    async def probe() -> bool:
        status = await _exchange(host, port, request.encode())
        return b" 200 " in status

    return probe


def redis_ready(host: str, port: int) -> Probe:
    """Ready when PING is answered PONG, which a server still loading its file does not."""

    async def probe() -> bool:
        return (await _exchange(host, port, b"PING\r\n")).startswith(b"+PONG")

    return probe


def smtp_ready(host: str, port: int) -> Probe:
    """Ready when the server greets."""

    async def probe() -> bool:
        return (await _exchange(host, port, b"")).startswith(b"220")

    return probe


async def _exchange(host: str, port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        if request:
            writer.write(request)
            await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
