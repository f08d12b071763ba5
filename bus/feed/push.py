"""The feed of an organization as it was pushed: for a reader with a realtime cursor."""

from __future__ import annotations

import json
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bus import streams
from bus.feed.cursor import CursorExpired
from bus.feed.log import PAGE_BYTES, Wanted
from bus.feed.lost import moment
from bus.feed.push_cursor import Position, decode, encode, format_id, parse_id
from bus.feed.push_log import PushLog
from bus.feed.pushed import Expired, Fields, Reading, Told
from bus.paging import CursorInvalid
from contracts.realtime.errors import CursorInvalid as RealtimeCursorInvalid

COUNT = 500
ROUNDS = 5
"""Reads of the stream, or pages of the archive, for one page."""


async def read_pushed(
    redis: Redis,
    org: str,
    cursor: str,
    *,
    shards: int,
    limit: int,
    wanted: Wanted,
    log: PushLog | None = None,
) -> tuple[list[bytes], str]:
    """The next ``limit`` events or fewer, each as JSON, and the realtime cursor behind them.

    They are in the order in which sockets are told. Raises CursorInvalid, CursorExpired when
    neither the stream nor the log has what followed, redis.RedisError and PyMongoError.
    """
    shard = streams.shard_of(org, shards)
    try:
        positions = decode(cursor, shards)
    except RealtimeCursorInvalid as error:
        raise CursorInvalid("after") from error
    if shard not in positions:
        raise CursorExpired()
    reading = Reading(shard, {streams.address_of(org, "org")})
    page = _Page(reading, positions[shard], limit, wanted)
    again = log is not None and await log.remember(reading, positions[shard])
    try:
        await _fill(page, redis, log, again)
    except Expired as error:
        if page.place == positions[shard]:
            raise CursorExpired() from error
    return list(page.shown.values()), encode(shards, {**positions, shard: page.place})


class _Page:
    """What is shown, and ``place``: the position up to which everything was looked at."""

    def __init__(self, reading: Reading, place: Position, limit: int, wanted: Wanted) -> None:
        self.reading = reading
        self.place = place
        self.shown: dict[bytes, bytes] = {}
        self._limit = limit
        self._wanted = wanted
        self._begin = wanted.begin() // 1000
        self._size = 0

    def take(self, entry: Told) -> bool:
        """Show an entry, if it is wanted; False when there is no room for it."""
        position, fields = entry
        id, event = fields.get(b"id", b""), fields.get(b"event", b"")
        if self._fits(position, fields) and id not in self.shown:
            self._size += len(event)
            if len(self.shown) == self._limit or (self.shown and self._size > PAGE_BYTES):
                return False
            self.shown[id] = event
        self.place = position
        return True

    def _fits(self, position: Position, fields: Fields) -> bool:
        if moment(position) < self._begin:
            return False
        if not self.reading.wants(fields.get(b"to", b"").decode().split()):
            return False
        subject = None
        if self._wanted.subject is not None:
            subject = json.loads(fields[b"event"]).get("subject")
        return self._wanted.takes(fields[b"type"].decode(), subject)


async def _fill(page: _Page, redis: Redis, log: PushLog | None, again: bool) -> None:
    """``again``: some may have been pushed again. Raises Expired, perhaps behind the first events."""
    shard = page.reading.shard
    read = 0
    while read < ROUNDS:
        entries = await _behind(redis, shard, page.place)
        if entries is not None:
            read += 1
            for entry in entries:
                if again and not page.reading.takes(entry[1]):
                    page.place = entry[0]
                elif not page.take(entry):
                    return
            if len(entries) < COUNT:
                return
            continue
        end = await _end(redis, shard)
        if log is None or end is None or page.place > end:
            raise Expired
        if page.place == end:
            return
        again = True
        before = page.place
        async for part in log.walk(page.reading, page.place, end):
            read += 1
            for entry in part.entries:
                if not page.take(entry):
                    return
            page.place = part.position
            if read >= ROUNDS:
                return
        if page.place == before:
            return


async def _behind(redis: Redis, shard: int, place: Position) -> list[Told] | None:
    """Entries behind a position; None when it is not held, so that some may be missing."""
    found: Any = await redis.xrange(
        streams.push(shard), min=format_id(place), max="+", count=COUNT + 1
    )
    entries = [(parse_id(id), fields) for id, fields in cast(list[tuple[bytes, Fields]], found)]
    if not entries or entries[0][0] != place:
        return None
    return entries[1:]


async def _end(redis: Redis, shard: int) -> Position | None:
    """The last entry there ever was in a push stream; None when there is no stream."""
    try:
        return parse_id((await redis.xinfo_stream(streams.push(shard)))["last-generated-id"])
    except ResponseError as error:
        if "no such key" in str(error):
            return None
        raise
