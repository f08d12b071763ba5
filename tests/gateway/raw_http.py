"""Bytes over a socket: what no HTTP client would send."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


class RawAnswer:
    """What came back: ``status`` is None when the connection was closed without a word."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1]) if first.startswith("HTTP/") else None
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}


async def send_raw(url: str, data: bytes, *, wait: float = 1.0) -> RawAnswer:
    """Send ``data``; read one answer, or until the server closes or is silent for ``wait``."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    received = bytearray()
    try:
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(wait):
            while chunk := await reader.read(65536):
                received += chunk
                if _complete(bytes(received)):
                    break
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return RawAnswer(bytes(received))


def _complete(raw: bytes) -> bool:
    answer = RawAnswer(raw)
    if b"\r\n\r\n" not in raw or answer.status in (None, 100):
        return False
    return len(answer.body) >= int(answer.headers.get("content-length", "0"))
