"""Reads the archive of pushes (archive.py): pages of one reader's entries, the oldest first."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from pymongo import ASCENDING, DESCENDING

from bus.documents import EVENTS, PUSH_ARCHIVE, PUSHES, Database
from bus.feed.archive import earlier, key_of, lane_of, oldest, position_of
from bus.feed.push_cursor import Position, parse_id
from bus.feed.pushed import TOGETHER, Page, Reading, Row, Told, entry_of, key_in
from bus.logged import logged_event
from bus.streams import address_of
from contracts.envelope import Envelope

DOCUMENTS = 256
"""Documents read at once, at most; few where they are large."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Positions between which entries were lost, neither included."""

    begin: Position
    end: Position


class Archived:
    """Reads of one layout of push streams. All of it raises PyMongoError."""

    def __init__(self, database: Database, *, shards: int, days: int) -> None:
        self.events = database[EVENTS]
        self._pushes = database[PUSHES]
        self._states = database[PUSH_ARCHIVE]
        self._shards = shards
        self._days = days

    async def through(self, shard: int) -> Position | None:
        """How far a push stream is archived; None before the first pass."""
        state = await self._states.find_one({"_id": lane_of(self._shards, shard)})
        return position_of(state["through"]) if state else None

    async def covers(self, shard: int, position: Position) -> bool:
        """Whether what followed a position is still kept, or will be."""
        if position < oldest(self._days):
            return False
        state = await self._states.find_one({"_id": lane_of(self._shards, shard)})
        return state is None or position >= position_of(state["begins"])

    async def read(
        self, reading: Reading, position: Position, until: Position
    ) -> AsyncGenerator[Page | Hole, None]:
        """What lies behind a position, up to one that is archived, holes in their places."""
        size = 8
        while position < until:
            documents = await self._documents(reading, position, size)
            whole = len(documents) < size
            if not whole and documents[0]["last"] != documents[-1]["last"]:
                # Of the last pass there may be more.
                cut = documents[-1]["last"]
                documents = [each for each in documents if each["last"] != cut]
            for last, found in groupby(documents, key=lambda each: str(each["last"])):
                together = list(found)
                for hole in _holes(together):
                    if position < hole.end and hole.begin < until:
                        yield hole
                rows = [
                    row
                    for row in _merged(together)
                    if position < row[0] <= until and reading.wants(row[1])
                ]
                async for page in self.pages(reading, rows, "archive"):
                    position = page.position
                    yield page
                position = max(position, min(position_of(last), until))
            if whole:
                position = until
            yield Page([], position, "archive")
            few = sum(len(each.get("entries", ())) for each in documents) < TOGETHER
            size = min(DOCUMENTS, size * 2) if few else max(4, size // 2)

    async def pages(
        self, reading: Reading, rows: Sequence[Row], source: Literal["archive", "log"]
    ) -> AsyncGenerator[Page, None]:
        """Pages of what of these is new to the reader, each of bounded size."""
        at = 0
        while at < len(rows):
            some = rows[at : at + reading.portion.count]
            at += len(some)
            fresh = [row for row in some if reading.first(row[2], row[1][0])]
            told = await self._told(fresh)
            reading.portion.measure(told)
            yield Page(told, some[-1][0], source)

    async def _told(self, rows: Sequence[Row]) -> list[Told]:
        """The entries as they were in the stream; of an event that is not in the log, none."""
        found = self.events.find({"_id": {"$in": [row[2] for row in rows]}})
        events: dict[str, Envelope] = {
            each["_id"]: logged_event(each) for each in (await found.to_list() if rows else ())
        }
        return [
            (position, entry_of(events[id], addresses, copies))
            for position, addresses, id, copies in rows
            if id in events
        ]

    async def pushed(
        self, reading: Reading, begin: Position, until: Position
    ) -> AsyncGenerator[list[str], None]:
        """Which events (``key_in``) were pushed from one position up to another, both included."""
        since = key_of(begin)
        for scope in reading.scopes:
            lane = lane_of(self._shards, reading.shard, scope)
            found = self._pushes.find({"lane": lane, "last": {"$gte": since}}, {"entries": 1})
            async for document in found.sort("last", ASCENDING):
                rows = document["entries"]
                yield [key_in(scope, row[2]) for row in rows if begin <= _parse(row[0]) <= until]
                if _parse(rows[-1][0]) > until:
                    break

    async def last_logged(self, reading: Reading, position: Position) -> int | None:
        """When the last events pushed before a position were logged, in microseconds."""
        ids = []
        for scope in reading.scopes:
            lane = lane_of(self._shards, reading.shard, scope)
            found = await self._pushes.find_one(
                {"lane": lane, "last": {"$lte": key_of(position)}}, sort=[("last", DESCENDING)]
            )
            if found is not None:
                ids.append(found["entries"][-1][2])
        logged = [each["logged"] async for each in self.events.find({"_id": {"$in": ids}})]
        return min(logged, default=None)

    async def hole_before(self, shard: int, position: Position, within: float) -> Hole | None:
        """The first loss of so many seconds before a position."""
        since = key_of(earlier(position, within))
        found = await self._pushes.find_one(
            {
                "lane": lane_of(self._shards, shard),
                "last": {"$gt": since, "$lte": key_of(position)},
            },
            sort=[("last", ASCENDING)],
        )
        return next(_holes([found])) if found is not None else None

    async def _documents(
        self, reading: Reading, position: Position, size: int
    ) -> list[dict[str, Any]]:
        lanes = [lane_of(self._shards, reading.shard, scope) for scope in ("", *reading.scopes)]
        query = {"lane": {"$in": lanes}, "last": {"$gt": key_of(position)}}
        found = self._pushes.find(query, {"_id": 0, "expires": 0})
        return await found.sort("last", ASCENDING).limit(size).to_list()


def _holes(documents: Sequence[dict[str, Any]]) -> Iterator[Hole]:
    for each in documents:
        if "hole" in each:
            begin, end = each["hole"]
            yield Hole(position_of(begin), position_of(end))


def _merged(documents: Sequence[dict[str, Any]]) -> list[Row]:
    """The entries of one pass in order."""
    rows: list[Row] = []
    for document in documents:
        scope = document["lane"].partition("/")[2]
        for position, channels, id, copies in document.get("entries", ()):
            addresses = [address_of(scope, channel) for channel in channels.split()]
            rows.append((_parse(position), addresses, id, copies))
    return sorted(rows, key=lambda row: row[0])


def _parse(position: str) -> Position:
    return parse_id(position.encode())
