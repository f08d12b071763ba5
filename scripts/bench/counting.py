"""WebSockets of either side that cost little: they count what arrives, and when."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from typing import cast

MARK = b'"mark":"'
"""Goes before ten digits, the number of the event, and twenty, its nanoseconds."""
_SEQ = len(MARK) + 10
_SENT = _SEQ + 20


class Tally:
    """What all sockets have got, and who waits until it is so many."""

    def __init__(self) -> None:
        self.count = 0
        self.latencies: list[int] = []
        self.wrong: list[str] = []
        self.first = b""
        """The first event, as it came."""
        self.next = 0
        """Deliveries at which ``reached`` is set."""
        self.reached = asyncio.Event()

    def complain(self, what: str) -> None:
        """Remember that something was missing, there twice, or not in order."""
        self.wrong.append(what)
        self.reached.set()


class Socket(asyncio.Protocol):
    """One connection of either side, as a client that trusts the server's framing."""

    def __init__(self, side: str, host: str, key: str, tally: Tally) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._side = side
        self._host = host
        self._key = key
        self._tally = tally
        self._next = 0
        self._upgraded = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        path = (
            f"/v1/realtime/ws?ticket={self._key}"
            if self._side == "grid8"
            else "/socket.io/?EIO=4&transport=websocket"
        )
        nonce = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {nonce}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"a connection was lost: {self._rest[:300]!r} {exc}")

    def data_received(self, data: bytes) -> None:
        at = time.monotonic_ns()
        if self._rest:
            data = self._rest + data
        start = 0
        if not self._upgraded:
            start = data.find(b"\r\n\r\n") + 4
            if start < 4 or not data.startswith(b"HTTP/1.1 101 "):
                self._rest = data
                return
            self._upgraded = True
            if self._side == "grid8":
                self._say(b'{"op":"subscribe","channel":"org"}')
        tally, expected, count = self._tally, self._next, 0
        size = len(data)
        while size - start > 1:
            length, head = data[start + 1], start + 2
            if length == 126:
                length, head = int.from_bytes(data[start + 2 : start + 4]), start + 4
            elif length == 127:
                length, head = int.from_bytes(data[start + 2 : start + 10]), start + 10
            end = head + length
            if end > size:
                break
            mark = data.find(MARK, head, end)
            if mark < 0:
                self._hear(data[start] & 15, data[head:end])
            else:
                seq = int(data[mark + 8 : mark + _SEQ])
                tally.latencies.append(at - int(data[mark + _SEQ : mark + _SENT]))
                if seq != expected:
                    tally.complain(f"event {seq} came where {expected} was due")
                if not seq:
                    tally.first = tally.first or data[head:end]
                expected = seq + 1
                count += 1
            start = end
        self._rest = data[start:]
        self._next = expected
        if count:
            tally.count += count
            if tally.count >= tally.next:
                tally.reached.set()

    def close(self) -> None:
        """Leave at once."""
        self._transport.abort()

    def _fail(self, what: str) -> None:
        if self.ready.done():
            self._tally.complain(what)
        else:
            self.ready.set_exception(ConnectionError(what))

    def _hear(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self._say(payload, opcode=10)
        elif opcode == 8:
            self._fail(f"a connection was closed: {payload!r}")
        elif self._side == "grid8":
            if payload.startswith(b'{"op":"subscribed"'):
                self.ready.set_result(None)
            elif payload.startswith(b'{"op":"error"'):
                self._fail(payload.decode())
        elif payload == b"2":  # engine.io's ping, and its pong
            self._say(b"3")
        elif payload.startswith(b"0"):  # it is open: connect to the namespace
            self._say(b"40" + json.dumps({"token": self._key}).encode())
        elif payload.startswith(b'42["subscribed"'):
            self.ready.set_result(None)
        elif payload.startswith(b"44"):
            self._fail(payload.decode())

    def _say(self, payload: bytes, *, opcode: int = 1) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        length = len(payload)
        size = bytes((0x80 | length,)) if length < 126 else b"\xfe" + length.to_bytes(2)
        self._transport.write(bytes((0x80 | opcode,)) + size + mask + masked)
