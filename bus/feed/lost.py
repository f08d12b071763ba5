"""What was lost from a push stream before it was archived, as far as the event log tells.

Within the hour Redis may still know where each event was pushed, and which were not yet: then
nothing is amiss. Otherwise events come in the order of the log, at positions made up for them: behind the last
that is known, with the place in the log in them, so that a cursor among them goes on exactly.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

from pymongo import ASCENDING
from redis.asyncio import Redis

from bus import streams
from bus.documents import FEED_ORDER
from bus.feed.archive import after, earlier
from bus.feed.archived import Archived
from bus.feed.push_cursor import Position, parse_id
from bus.feed.pushed import Page, Reading, Route, Row, key_in, scope_of
from bus.logged import logged_event

MARGIN = 120.0
"""Seconds by which an event may be pushed after it was logged, beyond what was usual then."""
SKEW = 2.0
"""Seconds by which the clocks of who logs and of Redis may differ."""
ONCE_FOR = 3600
"""Seconds for which a mark in Redis tells that an event was pushed, and where."""
BATCH = 1000
"""Events of the log looked at at a time."""

_MADE_UP = 4 * 10**18
"""Sequence numbers from here on are ours: Redis counts from 0 within each millisecond."""
_TIES = 1000

_Place = tuple[int, int]
"""``logged``, and a number that tells events of the same microsecond apart."""


class Lost:
    """Fills holes. ``route`` says for whom an event was."""

    def __init__(self, archived: Archived, redis: Redis, route: Route) -> None:
        self._archived = archived
        self._redis = redis
        self._route = route

    async def fill(
        self, reading: Reading, position: Position, end: Position
    ) -> AsyncGenerator[Page, None]:
        """Pages of what was pushed between two positions, neither included.

        Some that was pushed before ``position`` may be among it, if that itself is lost. Raises
        redis.RedisError and PyMongoError.
        """
        known: set[str] = set()
        since = await self._since(reading, position)
        before = earlier((since // 1000, 0), SKEW)
        for begin, until in ((before, position), (end, earlier(end, -MARGIN))):
            async for keys in self._archived.pushed(reading, begin, until):
                known.update(keys)
        seen = (since, "")
        while documents := await self._batch(reading, seen, int(end[0] * 1000 + SKEW * 1e6)):
            seen = (documents[-1]["logged"], documents[-1]["_id"])
            rows = await self._rows(reading, documents, known, position, end)
            async for page in self._archived.pages(reading, rows, "log"):
                yield page
        reading.filled = (end, self._told(reading, position))

    def _told(self, reading: Reading, position: Position) -> _Place | None:
        """The place in the log that the reader was shown; of a hole next to the last, as of that."""
        place = _place_in(position)
        if place is None and reading.filled is not None and reading.filled[0] == after(position):
            return reading.filled[1]
        return place

    async def _since(self, reading: Reading, position: Position) -> int:
        """Where in the log to begin, in microseconds."""
        place = self._told(reading, position)
        if place is not None:
            return place[0]
        since = position[0] * 1000
        usual = await self._archived.last_logged(reading, position)
        return max(0, int(min(since, usual or since) - MARGIN * 1e6))

    async def _batch(
        self, reading: Reading, seen: tuple[int, str], until: int
    ) -> list[dict[str, Any]]:
        logged, id = seen
        behind = {
            "logged": {"$gte": logged, "$lt": until},
            "$or": [{"logged": {"$gt": logged}}, {"_id": {"$gt": id}}],
        }
        found: list[dict[str, Any]] = []
        for scope in reading.scopes:
            mine = f"{scope}/me" in reading.addresses
            query = {"data.user_id" if mine else "org": scope, **behind}
            events = self._archived.events.find(query).hint("of_user" if mine else FEED_ORDER)
            order = [("logged", ASCENDING), ("_id", ASCENDING)]
            found += await events.sort(order).limit(BATCH).to_list()
        found.sort(key=lambda each: (each["logged"], each["_id"]))
        return found[:BATCH]

    async def _rows(
        self,
        reading: Reading,
        documents: Sequence[dict[str, Any]],
        known: set[str],
        position: Position,
        end: Position,
    ) -> list[Row]:
        found: dict[str, tuple[_Place, list[str], str, int]] = {}
        for document in documents:
            id = document["_id"]
            audiences = self._route(logged_event(document))
            for index, (shard, addresses) in enumerate(audiences):
                if shard != reading.shard or not reading.wants(addresses):
                    continue
                if key_in(scope_of(addresses[0]), id) not in known:
                    place = (document["logged"], zlib.crc32(id.encode()) % _TIES)
                    mark = streams.pushed(shard, f"{id}:{index}")
                    found[mark] = (place, list(addresses), id, len(audiences))
        if not found:
            return []
        names = [streams.pushed_since(reading.shard), *found]
        since, *marks = cast(list[bytes | None], await self._redis.mget(names))
        # From here on, what is not marked has not been pushed.
        marked = time.time() - ONCE_FOR + MARGIN if since is not None else math.inf
        marked = max(marked * 1e6, int(since or 0) + SKEW * 1e6)
        told = self._told(reading, position)
        # A made-up position is behind all that was pushed in its millisecond.
        begin = position if _place_in(position) is None else (position[0], -1)
        base = position[0] if end[0] > position[0] else position[0] - 1
        logged: list[Row] = []
        pushed: list[Row] = []
        for where, (place, addresses, id, copies) in zip(marks, found.values(), strict=True):
            if where is not None and b"-" in where:
                if begin < (at := parse_id(where)) < end:
                    pushed.append((at, addresses, id, copies))
            elif place[0] < marked and (told is None or place > told):
                logged.append((_made_up(base, place), addresses, id, copies))
                reading.unpushed[id.encode()] = None
        return [*sorted(logged), *sorted(pushed)]


def _made_up(milliseconds: int, place: _Place) -> Position:
    """The position of an event whose own is not known any more."""
    return milliseconds, _MADE_UP + place[0] * _TIES + place[1]


def moment(position: Position) -> int:
    """When an event was pushed, or where that is not known, logged; in milliseconds."""
    place = _place_in(position)
    return position[0] if place is None else place[0] // 1000


def _place_in(position: Position) -> _Place | None:
    """The place in the log that a made-up position has."""
    if position[1] < _MADE_UP:
        return None
    logged, tie = divmod(position[1] - _MADE_UP, _TIES)
    return logged, tie
