"""Reads the frames of a WebSocket client, strictly as RFC 6455 says. Does no I/O.

It is our own because no library at hand is both strict and lean. aiohttp's reader takes frames
that are not masked, looks at text only when a message is complete, and wants a queue and a task
to read it. The release of websockets in the lock (Pyppeteer pins it) keeps a generator's stack
per connection and makes an object per frame. wsproto is not in the lock, and keeps a tree of
objects per connection. This one is a few slots of the socket it is a part of, and keeps nothing
of what was received once it has been acted on.
"""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod

PROTOCOL_ERROR = 1002
INVALID_DATA = 1007
TOO_BIG = 1009

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_OPCODES = frozenset((_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG))
_CONTROL = 0x8
"""The bit of control frames' opcodes."""

_CODES = frozenset((*range(1000, 1004), *range(1007, 1015)))
"""Codes below 3000 that may be sent (RFC 6455, 7.4.1, and IANA's later ones up to 1014)."""

_decoder = codecs.getincrementaldecoder("utf-8")


class Violation(Exception):
    """The client broke the protocol; the connection is to be ended with this close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Parser(ABC):
    """One connection's reader. What was understood is handed to the ``on_`` methods.

    ``limit`` is what a message may have in bytes, over all its fragments.
    """

    __slots__ = (
        "_control",
        "_fin",
        "_kept",
        "_kind",
        "_left",
        "_limit",
        "_mask",
        "_message",
        "_opcode",
        "_size",
        "_validator",
        "stopped",
    )

    def __init__(self, limit: int) -> None:
        self.stopped = False
        """Nothing more is read: the client has closed, or broken the protocol."""
        self._limit = limit
        self._kept = b""
        """The beginning of a header."""
        self._mask: bytes | None = None
        """Of the frame that is being read; None between frames."""
        self._opcode = self._fin = self._left = 0
        self._kind = 0
        """Opcode of the message that is being read; 0 between messages."""
        self._size = 0
        self._message: bytearray | None = None
        self._validator: codecs.IncrementalDecoder | None = None
        self._control = b""

    @abstractmethod
    def on_frame(self) -> None:
        """A frame begins. May raise Violation."""

    @abstractmethod
    def on_text(self, text: str) -> None:
        """A text message is complete."""

    @abstractmethod
    def on_binary(self) -> None:
        """A binary message is complete; its payload is not kept."""

    @abstractmethod
    def on_ping(self, payload: bytes) -> None:
        """A ping, which wants a pong of the same payload."""

    @abstractmethod
    def on_pong(self) -> None:
        """A pong, asked for or not."""

    @abstractmethod
    def on_close(self, code: int | None) -> None:
        """The client closes, and will be heard no more."""

    def feed(self, data: bytes) -> None:
        """Read what was received. Raises Violation, after which nothing more is read."""
        if self._kept:
            data, self._kept = self._kept + data, b""
        at = 0
        try:
            while not self.stopped:
                if self._mask is None:
                    taken = self._begin(data, at)
                    if not taken:
                        self._kept = data[at:]
                        return
                    at += taken
                chunk = data[at : at + self._left]
                at += len(chunk)
                self._take(chunk)
                if self._left:
                    return
        except Violation:
            self.stopped = True
            raise
        finally:
            if self.stopped:
                self.forget()

    def forget(self) -> None:
        """Drop what was received and not acted on."""
        self._kept = self._control = b""
        self._message = self._validator = None

    def _begin(self, data: bytes, at: int) -> int:
        """Read a header; how long it is, 0 while it is not complete."""
        available = len(data) - at
        if available < 2:
            return 0
        first, second = data[at], data[at + 1]
        opcode, fin, length = first & 0x0F, first & 0x80, second & 0x7F
        if first & 0x70:
            raise Violation(PROTOCOL_ERROR, "a reserved bit is set")
        if opcode not in _OPCODES:
            raise Violation(PROTOCOL_ERROR, "the opcode is reserved")
        if not second & 0x80:
            raise Violation(PROTOCOL_ERROR, "the frame is not masked")
        if opcode & _CONTROL:
            if not fin:
                raise Violation(PROTOCOL_ERROR, "a control frame is fragmented")
            if length > 125:
                raise Violation(PROTOCOL_ERROR, "a control frame is too long")
        elif opcode == _CONTINUATION:
            if not self._kind:
                raise Violation(PROTOCOL_ERROR, "there is nothing to continue")
        elif self._kind:
            raise Violation(PROTOCOL_ERROR, "a message begins within another")
        body = 2
        if length > 125:
            body = 4 if length == 126 else 10
            if available < body:
                return 0
            shortest = 126 if length == 126 else 65536
            length = int.from_bytes(data[at + 2 : at + body])
            if length < shortest:
                raise Violation(PROTOCOL_ERROR, "a length is longer than it need be")
        if not opcode & _CONTROL and self._size + length > self._limit:
            raise Violation(TOO_BIG, f"a message may have {self._limit} bytes")
        if available < body + 4:
            return 0
        self.on_frame()
        self._mask = data[at + body : at + body + 4]
        self._opcode, self._fin, self._left = opcode, fin, length
        if not opcode & _CONTROL:
            self._kind = self._kind or opcode
            self._size += length
        return body + 4

    def _take(self, chunk: bytes) -> None:
        """Act on a part of a frame, which may be all of it."""
        mask = self._mask
        assert mask is not None
        count = len(chunk)
        self._left -= count
        whole = not self._left
        if whole:
            self._mask = None
        else:
            turn = count & 3
            self._mask = mask[turn:] + mask[:turn]
        if self._opcode & _CONTROL:
            self._control += _unmask(chunk, mask)
            if whole:
                payload, self._control = self._control, b""
                self._on_control(payload)
        elif self._kind == _TEXT:
            self._take_text(_unmask(chunk, mask), complete=whole and bool(self._fin))
        elif whole and self._fin:
            self._kind = self._size = 0
            self.on_binary()

    def _take_text(self, part: bytes, *, complete: bool) -> None:
        try:
            if self._message is None and complete:
                text = part.decode()
            else:
                if self._message is None:
                    self._message, self._validator = bytearray(), _decoder()
                assert self._validator is not None
                self._message += part
                # So that bad text is found at its first bad byte, not at the message's end.
                self._validator.decode(part, complete)
                if not complete:
                    return
                text = self._message.decode()
        except UnicodeDecodeError:
            raise Violation(INVALID_DATA, "text is not UTF-8") from None
        self._kind = self._size = 0
        self._message = self._validator = None
        self.on_text(text)

    def _on_control(self, payload: bytes) -> None:
        if self._opcode == _PING:
            self.on_ping(payload)
        elif self._opcode == _PONG:
            self.on_pong()
        else:
            code = _close_code(payload)
            self.stopped = True
            self.on_close(code)


def _close_code(payload: bytes) -> int | None:
    if not payload:
        return None
    code = int.from_bytes(payload[:2])
    if len(payload) < 2 or not (code in _CODES or 3000 <= code < 5000):
        raise Violation(PROTOCOL_ERROR, "the close code is not valid")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise Violation(INVALID_DATA, "the close reason is not UTF-8") from None
    return code


def _unmask(data: bytes, mask: bytes) -> bytes:
    count = len(data)
    keys = (mask * (count // 4 + 1))[:count]
    return (int.from_bytes(data) ^ int.from_bytes(keys)).to_bytes(count)
