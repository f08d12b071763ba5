"""Which events a replay is of, and where they are read: the event log, or the streams.

A source gives pages in order, and with each page the position behind it. A replay that goes
on from a position is given everything that comes after it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast

from redis.asyncio import Redis

from bus import streams
from bus.broker import decode
from bus.documents import EVENTS, Database
from bus.logged import logged_event
from contracts.envelope import Envelope

Place = Mapping[str, Any]
"""A position of a source; empty at the beginning."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is chosen: of each kind any, where nothing is named; ``until`` is not included."""

    until: datetime
    since: datetime | None = None
    types: tuple[str, ...] = ()
    """Types, or beginnings of some: ``custom.*``."""
    subjects: tuple[str, ...] = ()
    orgs: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    def takes(self, event: Envelope) -> bool:
        """Whether an event is chosen."""
        return (
            event.time < self.until
            and (self.since is None or event.time >= self.since)
            and (not self.types or any(is_of(event.type, each) for each in self.types))
            and (not self.subjects or event.subject in self.subjects)
            and (not self.orgs or event.org in self.orgs)
            and (not self.domains or event.type.partition(".")[0] in self.domains)
        )

    def query(self) -> dict[str, Any]:
        """The same as a query of the event log."""
        time: dict[str, datetime] = {"$lt": self.until}
        if self.since is not None:
            time["$gte"] = self.since
        query: dict[str, Any] = {"time": time}
        if self.types:
            query["type"] = {"$in": [_as_queried(each) for each in self.types]}
        for name, values in (
            ("subject", self.subjects),
            ("org", self.orgs),
        ):
            if values:
                query[name] = {"$in": list(values)}
        if self.domains:
            pattern = "|".join(self.domains)
            query = {"$and": [query, {"type": {"$regex": rf"^({pattern})\."}}]}
        return query


def is_of(type: str, wanted: str) -> bool:
    """Whether a type is the one wanted, or begins like it: ``corp.*``."""
    return type == wanted or (wanted.endswith("*") and type.startswith(wanted[:-1]))


def _as_queried(wanted: str) -> str | re.Pattern[str]:
    return re.compile(f"^{re.escape(wanted[:-1])}") if wanted.endswith("*") else wanted


class Source(Protocol):
    """Where events are read."""

    async def count(self) -> dict[str, int]:
        """How many events of each type are chosen."""

    def pages(self, after: Place, size: int) -> AsyncIterator[tuple[list[Envelope], Place]]:
        """The chosen events behind a position, about ``size`` at a time."""


class Log:
    """The event log in MongoDB, by the time of the events."""

    def __init__(self, database: Database, selection: Selection) -> None:
        self._events = database[EVENTS]
        self._selection = selection

    async def count(self) -> dict[str, int]:
        """How many events of each type are chosen."""
        found = await self._events.aggregate(
            [
                {"$match": self._selection.query()},
                {"$group": {"_id": "$type", "count": {"$sum": 1}}},
                {"$sort": {"_id": 1}},
            ]
        )
        return {each["_id"]: each["count"] async for each in found}

    async def pages(self, after: Place, size: int) -> AsyncIterator[tuple[list[Envelope], Place]]:
        """The chosen events behind a position; all of one instant are on one page."""
        query = self._selection.query()
        time = after.get("time")
        while True:
            behind = [query, {"time": {"$gt": time}}] if time is not None else [query]
            found = await self._events.find({"$and": behind}).sort("time", 1).limit(size).to_list()
            if not found:
                return
            time = found[-1]["time"]
            before = [each for each in found if each["time"] < time]
            last = await self._events.find({"$and": [query, {"time": time}]}).to_list()
            yield [logged_event(each) for each in (*before, *last)], {"time": time}


class Streams:
    """The event streams in Redis, one after the other: what has not been trimmed yet."""

    def __init__(self, redis: Redis, domains: Sequence[str], selection: Selection) -> None:
        self._redis = redis
        self._domains = [
            each for each in domains if not selection.domains or each in selection.domains
        ]
        self._selection = selection

    async def count(self) -> dict[str, int]:
        """How many events of each type are chosen."""
        counts: Counter[str] = Counter()
        async for events, _ in self.pages({}, 1000):
            counts.update(each.type for each in events)
        return dict(sorted(counts.items()))

    async def pages(self, after: Place, size: int) -> AsyncIterator[tuple[list[Envelope], Place]]:
        """The chosen events behind a position, stream by stream."""
        at, entry = after.get("domain"), after.get("entry", "0-0")
        for domain in self._domains[self._domains.index(at) if at in self._domains else 0 :]:
            last = entry if domain == at else "0-0"
            while found := await self._read(domain, last, size):
                events = [event for _, fields in found if (event := _event(fields)) is not None]
                last = found[-1][0].decode()
                place = {"domain": domain, "entry": last}
                yield [each for each in events if self._selection.takes(each)], place

    async def _read(
        self, domain: str, after: str, size: int
    ) -> list[tuple[bytes, dict[bytes, bytes]]]:
        found: Any = await self._redis.xrange(streams.events(domain), f"({after}", "+", count=size)
        return cast(list[tuple[bytes, dict[bytes, bytes]]], found)


def _event(fields: dict[bytes, bytes]) -> Envelope | None:
    try:
        return Envelope.model_validate_json(decode(fields))
    except ValueError:
        return None
