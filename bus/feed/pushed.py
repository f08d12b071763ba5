"""What is read of pushes, wherever it lies: in the stream, in the archive, or in the event log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bus import streams
from bus.feed.push_cursor import Position
from bus.streams import address_of
from contracts.envelope import Envelope
from contracts.visibility import is_private, public_json

REMEMBERED = 50_000
"""Events that one reader is known to have been shown."""

TOGETHER = 200
"""Entries that are read at once, at most."""
TOGETHER_BYTES = 2 * 1024 * 1024
"""Of large events, so many fewer are read at once."""
_AT_FIRST = 16

Fields = dict[bytes, bytes]
Told = tuple[Position, Fields]
"""An entry as the stream has it."""

Row = tuple[Position, list[str], str, int]
"""Position, addresses, event id, and how many audiences the event has."""

Audience = tuple[int, Sequence[str]]
Route = Callable[[Envelope], Sequence[Audience]]
"""What is pushed about an event, in order: each time a shard, and addresses."""


class Expired(Exception):
    """What followed the position is no longer kept."""


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, and the position up to which everything has been looked at."""

    entries: list[Told]
    position: Position
    source: Literal["archive", "log", "stream"]


class Portion:
    """How many entries to read at once, judging by those read last: events may have 1 MiB."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = _AT_FIRST

    def measure(self, entries: Sequence[Told]) -> None:
        """Judge by these."""
        size = sum(len(fields.get(b"event", b"")) for _, fields in entries)
        if entries:
            fit = TOGETHER_BYTES * len(entries) // max(1, size)
            self.count = max(1, min(TOGETHER, fit))


@dataclass(slots=True)
class Reading:
    """What one reader wants of one push stream, and what it has been shown of it."""

    shard: int
    addresses: Collection[str]
    unpushed: dict[bytes, None] = field(default_factory=dict)
    """Ids of events that came from the log alone: they may be pushed yet."""
    filled: tuple[Position, tuple[int, int] | None] | None = None
    """Where the last hole that was filled ended, and behind which place of the log it began."""
    portion: Portion = field(default_factory=Portion)
    _seen: dict[str, None] = field(default_factory=dict)

    @property
    def scopes(self) -> list[str]:
        """The organization and the user of the addresses."""
        return sorted({scope_of(address) for address in self.addresses})

    def wants(self, addresses: Iterable[str]) -> bool:
        """Whether something pushed to these is for the reader."""
        return any(each in self.addresses for each in addresses)

    def takes(self, fields: Fields) -> bool:
        """Whether to show an entry of the stream: it is wanted, and new to the reader."""
        addresses = fields.get(b"to", b"").decode().split()
        return self.wants(addresses) and self.first(fields.get(b"id", b"").decode(), addresses[0])

    def first(self, id: str, address: str) -> bool:
        """Note that an event is shown; False when it was."""
        key = key_in(scope_of(address), id)
        if id and key in self._seen:
            return False
        self.note([key])
        return True

    def pushed(self) -> list[str]:
        """What the reader has been shown that was pushed (``key_in``)."""
        return [key for key in self._seen if key.rpartition(" ")[2].encode() not in self.unpushed]

    def note(self, keys: Iterable[str]) -> None:
        """Know that events were shown; see ``key_in``."""
        for key in keys:
            self._seen[key] = None
        while len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]


def key_in(scope: str, id: str) -> str:
    """An event, as one organization or user is shown it."""
    return f"{scope} {id}"


def scope_of(address: str) -> str:
    """The organization or user of an address."""
    return address.partition("/")[0]


def route_to_organization(shards: int) -> Route:
    """The audience of a channel ``org``: it is shown all that is not private."""

    def route(envelope: Envelope) -> Sequence[Audience]:
        if envelope.org is None or is_private(envelope):
            return ()
        return [(streams.shard_of(envelope.org, shards), (address_of(envelope.org, "org"),))]

    return route


def entry_of(envelope: Envelope, addresses: Iterable[str], copies: int) -> Fields:
    """What a notifier pushes of an event."""
    return {
        b"to": " ".join(addresses).encode(),
        b"type": envelope.type.encode(),
        b"event": public_json(envelope),
        b"id": envelope.id.encode(),
        b"at": str(int(envelope.time.timestamp() * 1000)).encode(),
        b"copies": str(copies).encode(),
    }
