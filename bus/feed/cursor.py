"""The cursor of the event feed: how far a reader has seen, as one opaque text.

Everything up to a base position has been shown. Behind it lie the last seconds, in which a
transaction may yet bring an event older than one already shown; so of those the cursor holds
what has been shown: of each id a digest, and a tick of time after which it can be forgotten.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bus.paging import CursorInvalid
from contracts.errors import DomainError, ErrorKind, FieldError

Position = tuple[int, str]
"""``logged`` and ``_id`` of an event."""

SEEN_LIMIT = 500
"""Shown events that a cursor holds at most: it has to fit into a URL."""
TICK = 250_000
"""Microseconds."""
LENGTH = 8000

_DIGEST = 7
_LATEST = 2**63 - 1
_FORM = re.compile(r"e1\.[A-Za-z0-9_-]+", re.ASCII)
_ID = re.compile(r"[!-~]{0,128}", re.ASCII)


class CursorExpired(DomainError):
    """What followed the cursor is no longer held."""

    code = "cursor_expired"
    kind = ErrorKind.INVALID
    title = "What followed the cursor is no longer held"

    def __init__(self) -> None:
        super().__init__(
            "Pushes are archived for so many days, and no longer; begin with since instead.",
            errors=[FieldError(pointer="after", code="cursor_expired", detail="has expired")],
        )


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """``seen``: digest → tick, none of them before the base."""

    base: Position = (0, "")
    seen: Mapping[bytes, int] = field(default_factory=dict)

    def encode(self) -> str:
        """As text that needs no escaping in a URL."""
        logged, id = self.base
        first = logged // TICK
        raw = bytearray(logged.to_bytes(8) + bytes([len(id)]) + id.encode("ascii"))
        for digest, tick in sorted(self.seen.items()):
            raw.append(min(max(tick - first, 0), 255))
            raw += digest
        return "e1." + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> FeedCursor:
    """The cursor in a text. Raises CursorInvalid for anything that ``encode`` would not write."""
    if len(text) > LENGTH or _FORM.fullmatch(text) is None:
        raise CursorInvalid("after")
    body = text[3:]
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        logged, end = int.from_bytes(raw[:8]), 9 + raw[8]
        id, rest = raw[9:end].decode("ascii"), raw[end:]
    except (ValueError, IndexError) as error:
        raise CursorInvalid("after") from error
    step = _DIGEST + 1
    seen = {rest[at + 1 : at + step]: rest[at] for at in range(0, len(rest), step)}
    first = logged // TICK
    found = FeedCursor((logged, id), {digest: first + tick for digest, tick in seen.items()})
    if (
        logged > _LATEST
        or _ID.fullmatch(id) is None
        or len(rest) % step
        or len(rest) > SEEN_LIMIT * step
        or found.encode() != text
    ):
        raise CursorInvalid("after")
    return found


def digest_of(id: str) -> bytes:
    """What a cursor holds of an event's id."""
    return hashlib.blake2b(id.encode(), digest_size=_DIGEST).digest()


def tick_of(logged: int) -> int:
    """The first tick that is not before this time."""
    return -(-logged // TICK)
