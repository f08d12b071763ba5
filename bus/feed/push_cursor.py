"""Cursors: how far a client has seen, as one opaque text for WebSocket and SSE.

A cursor holds a position in each push stream the client listens to. It also holds how many
push streams there were: with another number, organizations lie on other streams.

The ``id:`` of an event stream is a cursor with a secret behind it, by which the notifier knows
the stream again. It says nothing of a position, so wherever a cursor is read it is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from contracts.realtime.errors import CursorInvalid

Position = tuple[int, int]
"""A stream entry's id: milliseconds and sequence."""

_FORM = re.compile(
    r"(g[1-9]\d{0,2}(?:\.\d{1,3}-\d{1,19}-\d{1,19})+)(?:~([A-Za-z0-9_-]{16,64}))?", re.ASCII
)
_LENGTH = 4096


def parse_id(id: bytes) -> Position:
    """The position of an entry."""
    milliseconds, _, sequence = id.partition(b"-")
    return int(milliseconds), int(sequence or b"0")


def format_id(position: Position) -> str:
    """The entry's id as Redis writes it."""
    return f"{position[0]}-{position[1]}"


def encode(shards: int, positions: Mapping[int, Position]) -> str:
    """A cursor of these positions by shard."""
    parts = (f".{shard}-{ms}-{sequence}" for shard, (ms, sequence) in sorted(positions.items()))
    return f"g{shards}{''.join(parts)}"


def with_secret(cursor: str, secret: str) -> str:
    """A cursor that is good for going on with one stream; 16 to 64 characters, URL-safe."""
    return f"{cursor}~{secret}"


def secret_of(cursor: str) -> str | None:
    """The secret behind a cursor, if there is one. Raises CursorInvalid."""
    return _parts(cursor)[1]


def decode(cursor: str, shards: int) -> dict[int, Position]:
    """The positions in a cursor by shard; none when the number of shards has changed.

    Raises CursorInvalid for anything that ``encode`` and ``with_secret`` would not write.
    """
    head, *parts = _parts(cursor)[0][1:].split(".")
    positions: dict[int, Position] = {}
    for part in parts:
        shard, milliseconds, sequence = (int(number) for number in part.split("-"))
        if shard >= int(head) or shard in positions:
            raise CursorInvalid()
        positions[shard] = (milliseconds, sequence)
    return positions if int(head) == shards else {}


def _parts(cursor: str) -> tuple[str, str | None]:
    found = _FORM.fullmatch(cursor) if len(cursor) <= _LENGTH else None
    if found is None:
        raise CursorInvalid()
    return found[1], found[2]
