"""Reads the push streams: every notifier, every entry, on a connection of its own.

There is no group, because the sockets of an event's audience may be on any notifier.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from bus import streams
from bus.feed.push_cursor import Position, format_id, parse_id
from bus.tasks import end
from handlers.notifier.frames import Entry
from handlers.notifier.metrics import ENTRIES, GAPS

log = structlog.get_logger(__name__)

BLOCK_MS = 1000
COUNT = 256
VERIFY_EVERY = 1.0
TOGETHER = 16
"""Entries that are handed on together at most: each socket is written to once for them."""
YIELD_AFTER = 1000
"""Writes after which other tasks get their turn."""
QUIET_LIMIT = 5.0
"""Seconds without an answer from Redis after which the streams are not being read."""

_BEFORE_ALL: Position = (0, 0)

Raw = list[tuple[bytes, dict[bytes, bytes]]]


@dataclass(slots=True)
class _Shard:
    number: int
    stream: str
    position: Position = _BEFORE_ALL
    """The last entry that was handed on."""
    added: int | None = None
    """What Redis counts as ever added to the stream, at ``position``; None when not known."""


class PushReader:
    """Hands entries on, in order, and says when some were lost.

    ``hand_on`` is given some of one push stream, and returns how many writes it made of them;
    ``on_gap`` is given the number of the push stream.
    """

    def __init__(
        self,
        redis: Redis,
        shards: int,
        *,
        hand_on: Callable[[Sequence[Entry]], int],
        on_gap: Callable[[int], None],
    ) -> None:
        self._redis = redis
        self._hand_on = hand_on
        self._on_gap = on_gap
        self._shards = [_Shard(number, streams.push(number)) for number in range(shards)]
        self._by_stream = {shard.stream.encode(): shard for shard in self._shards}
        self._task: asyncio.Task[None] | None = None
        self._heard = 0.0

    async def start(self) -> None:
        """Begin to read at the present end of the streams. Raises redis.RedisError."""
        for shard in self._shards:
            added, last = await self._end(shard)
            if added == 0:
                await self._redis.xadd(shard.stream, {"to": ""})
                added, last = await self._end(shard)
            shard.added, shard.position = added, last
        self._heard = time.monotonic()
        self._task = asyncio.create_task(self._read(), name="push streams")

    async def stop(self) -> None:
        """Read no more."""
        await end(self._task)

    @property
    def ready(self) -> bool:
        """Whether the streams are being read."""
        alive = self._task is not None and not self._task.done()
        return alive and time.monotonic() - self._heard < QUIET_LIMIT

    def position(self, shard: int) -> Position:
        """The last entry of a push stream that was handed on."""
        return self._shards[shard].position

    async def _read(self) -> None:
        verified, turn = 0.0, 0
        while True:
            try:
                for stream, entries in await self._next():
                    await self._pass(self._by_stream[stream], entries)
                # One after the other, so that nothing waits long for it; after a fault, all.
                since = time.monotonic() - verified
                if since >= VERIFY_EVERY:
                    for shard in self._shards:
                        await self._verify(shard)
                    verified = time.monotonic()
                elif since >= VERIFY_EVERY / 2 / len(self._shards):
                    turn = (turn + 1) % len(self._shards)
                    await self._verify(self._shards[turn])
                    verified = time.monotonic()
                self._heard = time.monotonic()
            except (RedisError, OSError) as error:
                log.warning("push_streams_away", reason=str(error)[:200])
                verified = 0.0
                await asyncio.sleep(0.2)
            except Exception:
                log.exception("push_reader_failed")
                await asyncio.sleep(0.2)

    async def _next(self) -> list[tuple[bytes, Raw]]:
        positions = {shard.stream: format_id(shard.position) for shard in self._shards}
        reply = await self._redis.xread(positions, count=COUNT, block=BLOCK_MS)  # type: ignore[arg-type]
        return cast(list[tuple[bytes, Raw]], reply or [])

    async def _pass(self, shard: _Shard, entries: Raw) -> None:
        writes = 0
        for first in range(0, len(entries), TOGETHER):
            some = entries[first : first + TOGETHER]
            shard.position = parse_id(some[-1][0])
            if shard.added is not None:
                shard.added += len(some)
            try:
                writes += self._hand_on(_parsed(shard, some))
            except Exception:
                log.exception("entries_failed", stream=shard.stream, first=some[0][0])
            if writes >= YIELD_AFTER:
                writes = 0
                await asyncio.sleep(0)
        ENTRIES.labels(str(shard.number)).inc(len(entries))

    async def _verify(self, shard: _Shard) -> None:
        """Find out whether entries were lost before they were read.

        Redis counts what was ever added. At the end of the stream, it must be what was read;
        if it is less, the stream was made anew, by a flush or another server. A position
        always names an entry that was in the stream, so that a cursor of another stream is
        found out: hence the entry that an empty stream is begun with.
        """
        added, last = await self._end(shard)
        if added == 0:
            await self._redis.xadd(shard.stream, {"to": ""})
            shard.position, shard.added = _BEFORE_ALL, 0
            self._gap(shard)
        elif shard.added is not None and added < shard.added:
            if last < shard.position:
                shard.position, shard.added = _BEFORE_ALL, 0
            else:
                shard.added = added if last == shard.position else None
            self._gap(shard)
        elif last == shard.position:
            missing = shard.added is not None and added > shard.added
            shard.added = added
            if missing:
                self._gap(shard)

    async def _end(self, shard: _Shard) -> tuple[int, Position]:
        try:
            info = await self._redis.xinfo_stream(shard.stream)
        except ResponseError as error:
            if "no such key" in str(error):
                return 0, _BEFORE_ALL
            raise
        return int(info["entries-added"]), parse_id(info["last-generated-id"])

    def _gap(self, shard: _Shard) -> None:
        log.warning("push_stream_gap", stream=shard.stream)
        GAPS.labels(str(shard.number)).inc()
        self._on_gap(shard.number)


def _parsed(shard: _Shard, raw: Raw) -> list[Entry]:
    entries: list[Entry] = []
    for id, fields in raw:
        try:
            entries.append(Entry(shard.number, parse_id(id), fields))
        except Exception:
            # One bad entry must not keep the next from anybody.
            log.exception("entry_failed", stream=shard.stream, entry=id)
    return entries
