"""Frames of a server. They are not masked, so one is the same for every client."""

from __future__ import annotations

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

REASON_LIMIT = 123
"""Bytes: a control frame has 125, and the code takes two (RFC 6455, 5.5)."""


def frame(opcode: int, payload: bytes) -> bytes:
    """A complete frame that is not a fragment."""
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65536:
        return bytes((0x80 | opcode, 126)) + length.to_bytes(2) + payload
    return bytes((0x80 | opcode, 127)) + length.to_bytes(8) + payload


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A close frame; without a code it has no body. A long reason is cut between characters."""
    if code is None:
        return frame(CLOSE, b"")
    cut = reason.encode()[:REASON_LIMIT].decode(errors="ignore")
    return frame(CLOSE, code.to_bytes(2) + cut.encode())
