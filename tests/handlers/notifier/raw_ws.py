"""A WebSocket client by hand, which may break every rule of the protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from notifier_stage import DEADLINE, Stage

from infra.tickets import WS_PATH

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x12\x34\x56\x78"
HANDSHAKE = {
    "Host": "notifier",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
PING_OP = b'{"op":"ping"}'


def masked(payload: bytes, mask: bytes = MASK) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bool = True
) -> bytes:
    """A frame as a client sends it, or as it must not."""
    size = len(payload)
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    bit = 0x80 if mask else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + size.to_bytes(2)
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8)
    return head + (MASK + masked(payload) if mask else payload)


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2) + reason)


class RawWs:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *frames: bytes) -> None:
        """Send the frames in one piece."""
        self.writer.write(b"".join(frames))
        await self.writer.drain()

    async def trickle(self, data: bytes) -> None:
        """Send it byte by byte, each on its own."""
        for index in range(len(data)):
            await self.send(data[index : index + 1])
            await asyncio.sleep(0.001)

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """An HTTP response: status, headers in lower case, body."""
        head = (await self._within(self.reader.readuntil(b"\r\n\r\n"))).decode()
        status, *lines = head.rstrip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        size = int(headers.get("content-length", "0"))
        return int(status.split()[1]), headers, await self._within(self.reader.readexactly(size))

    async def frame(self) -> tuple[int, bytes]:
        """The server's next frame: opcode and payload. Raises IncompleteReadError at the end."""
        first, second = await self._within(self.reader.readexactly(2))
        assert first & 0x80, "a server of whole messages sends no fragments"
        assert not first & 0x70, "nothing was agreed on that uses reserved bits"
        assert not second & 0x80, "a server does not mask"
        size = second
        if size > 125:
            size = int.from_bytes(
                await self._within(self.reader.readexactly(2 if size == 126 else 8))
            )
        return first & 0x0F, await self._within(self.reader.readexactly(size))

    async def message(self) -> dict[str, Any]:
        """The server's next frame, which is a text message."""
        opcode, payload = await self.frame()
        assert opcode == TEXT, (opcode, payload)
        return cast(dict[str, Any], json.loads(payload))

    async def closed(self) -> tuple[int | None, str]:
        """The close frame, which is the next but for answers; then the server sends no more."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                break
            assert opcode in (TEXT, PONG)
        assert await self._within(self.reader.read()) == b""
        return int.from_bytes(payload[:2]) if payload else None, payload[2:].decode()

    async def lives(self) -> None:
        """The connection is as good as new."""
        await self.send(frame(TEXT, PING_OP))
        assert await self.message() == {"op": "pong"}

    async def _within(self, read: Any) -> Any:
        return await asyncio.wait_for(read, DEADLINE)


@asynccontextmanager
async def connected(stage: Stage) -> AsyncIterator[RawWs]:
    """A TCP connection to the notifier, on which nothing was said."""
    parts = urlsplit(stage.urls[0])
    raw = RawWs(*await asyncio.open_connection(parts.hostname, parts.port))
    try:
        yield raw
    finally:
        raw.writer.transport.abort()


async def request(stage: Stage, *, version: str = "1.1", **changed: str | None) -> bytes:
    """A handshake with a fresh ticket; headers that are None are left out."""
    headers = {**HANDSHAKE, **{name.replace("_", "-"): value for name, value in changed.items()}}
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
    target = f"{WS_PATH}?ticket={await stage.ticket()}"
    return f"GET {target} HTTP/{version}\r\n{''.join(lines)}\r\n".encode()


@asynccontextmanager
async def raw_ws(stage: Stage, first: bytes = b"") -> AsyncIterator[RawWs]:
    """A socket after its handshake, in one piece with which ``first`` was sent."""
    async with connected(stage) as raw:
        await raw.send(await request(stage), first)
        status, headers, _ = await raw.response()
        assert status == 101
        # RFC 6455, 1.3
        assert headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        yield raw
