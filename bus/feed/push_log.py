"""Reads on where a push stream no longer holds what followed a cursor.

From the archive, which has the order in which was pushed (archived.py); what was lost before
it was archived, from the event log (lost.py). Each event comes once, and in order, until the
stream itself goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import cast

from redis.asyncio import Redis

from bus import streams
from bus.documents import Database
from bus.feed.archive import after, earlier
from bus.feed.archived import Archived, Hole
from bus.feed.lost import Lost
from bus.feed.push_cursor import Position, format_id, parse_id
from bus.feed.pushed import Expired, Fields, Page, Reading, Route, Told

NEAR = 300.0
"""Seconds before a loss in which an event may have been pushed that is pushed again after it:
the relay then publishes what may not have been handled."""
PATIENCE = 3.0
"""Seconds a push stream may be gone until a notifier makes it anew."""


class PushLog:
    """What was pushed, for ``days``."""

    def __init__(
        self, database: Database, redis: Redis, *, shards: int, days: int, route: Route
    ) -> None:
        self._redis = redis
        self._archived = Archived(database, shards=shards, days=days)
        self._lost = Lost(self._archived, redis, route)

    async def covers(self, shard: int, position: Position) -> bool:
        """Whether what followed a position is still kept. Raises PyMongoError."""
        return await self._archived.covers(shard, position)

    async def remember(self, reading: Reading, position: Position) -> bool:
        """Know what was shown before a loss, if there was one shortly before a position.

        Whether there was: then the reader may be pushed again what it has seen. Raises
        PyMongoError.
        """
        hole = await self._archived.hole_before(reading.shard, position, NEAR)
        if hole is not None:
            await self._remember(reading, hole.begin, position)
        return hole is not None

    async def walk(
        self, reading: Reading, position: Position, until: Position
    ) -> AsyncGenerator[Page, None]:
        """Pages of what followed a position that the stream does not hold, until it goes on.

        None goes beyond ``until``, a position at the end of the stream or before. The last may
        be short of it: there the stream goes on, or there is a loss to be looked at anew.
        Raises Expired, redis.RedisError and PyMongoError.
        """
        shard = reading.shard
        if not await self.covers(shard, position):
            raise Expired
        await self.remember(reading, position)
        deadline = time.monotonic() + PATIENCE
        while position < until:
            through = await self._archived.through(shard)
            if through is not None and position < through:
                async for page in self._from_archive(reading, position, min(through, until)):
                    position = page.position
                    yield page
                continue
            edge = await self._edge(shard, position)
            if edge is None:
                if time.monotonic() > deadline:
                    raise Expired
                await asyncio.sleep(0.05)
                continue
            first, last = edge
            if (first[0] if first is not None else last) <= position:
                return
            end = first[0] if first is not None else after(last)
            async for page in self._fill(reading, Hole(position, min(end, after(until))), position):
                yield page
            if first is None or first[0] > until:
                yield Page([], until if first is not None else min(last, until), "log")
            else:
                yield Page([first] if reading.takes(first[1]) else [], first[0], "stream")
            return

    async def _from_archive(
        self, reading: Reading, position: Position, until: Position
    ) -> AsyncGenerator[Page, None]:
        async for found in self._archived.read(reading, position, until):
            if isinstance(found, Page):
                position = found.position
                yield found
                continue
            hole = Hole(found.begin, min(found.end, after(until)))
            async for page in self._fill(reading, hole, position):
                yield page

    async def _fill(
        self, reading: Reading, hole: Hole, position: Position
    ) -> AsyncGenerator[Page, None]:
        await self._remember(reading, hole.begin, position)
        begin = max(hole.begin, position)
        if after(begin) < hole.end:
            async for page in self._lost.fill(reading, begin, hole.end):
                yield page

    async def _remember(self, reading: Reading, begin: Position, position: Position) -> None:
        """Know what was shown before a position, and may have been pushed again since."""
        async for keys in self._archived.pushed(reading, earlier(begin, NEAR), position):
            reading.note(keys)

    async def _edge(self, shard: int, position: Position) -> tuple[Told | None, Position] | None:
        """The first entry from a position on, and the last there was; None without a stream."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.xrange(streams.push(shard), format_id(position), "+", count=1)
        pipe.xinfo_stream(streams.push(shard))
        found, info = await pipe.execute(raise_on_error=False)
        if isinstance(found, Exception):
            raise found
        if isinstance(info, Exception):
            return None
        entries = cast(list[tuple[bytes, Fields]], found)
        first = (parse_id(entries[0][0]), entries[0][1]) if entries else None
        return first, parse_id(info["last-generated-id"])
