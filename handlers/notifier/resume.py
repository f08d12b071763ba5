"""Brings a connection from its cursor to the present, without gap and without duplicate."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from redis.asyncio import Redis

from bus import streams
from bus.feed.push_cursor import Position, format_id, parse_id
from bus.feed.push_log import PushLog
from bus.feed.pushed import Expired, Portion, Reading, Told
from handlers.notifier.frames import Entry, Frame
from handlers.notifier.hub import Hub
from handlers.notifier.metrics import RESUMES
from handlers.notifier.peer import Peer, Subscription
from handlers.notifier.reader import Raw

PAGE = 250
ROUNDS = 20
"""How often the present is chased before live frames are held back regardless."""
REACH_LIMIT = 3.0
"""Seconds a hub may be behind the notifier that gave out the cursor."""
REACH_LOOK = 0.01
"""Seconds to the first look whether it has got there. Each next one waits twice as long, up to
``REACH_LOOK_MAX``: whoever makes cursors up can have a look for each of their channels."""
REACH_LOOK_MAX = 0.2
AHEAD_LIMIT = 5.0
"""Seconds by which Redis' clock may be ahead of ours."""


class History:
    """Reads back the push streams; and without ``log``, no further."""

    def __init__(self, redis: Redis, hub: Hub, log: PushLog | None) -> None:
        self._redis = redis
        self._hub = hub
        self._log = log

    async def resume(
        self,
        peer: Peer,
        subscriptions: Sequence[Subscription],
        since: Position | None,
        announce: Callable[[bool], None],
    ) -> None:
        """Deliver what the channels had after ``since``, then serve them live.

        The channels are of one push stream. ``announce`` is told, before anything is
        delivered, whether what followed the cursor is still kept; where it is not, or
        ``since`` is None, the connection is told that events are lost. Raises
        redis.RedisError and pymongo's PyMongoError.
        """
        shard = subscriptions[0].shard
        announced = False
        try:
            if since is None:
                raise Expired
            await self._reach(shard, since)
            announce(True)
            announced = True
            catching = _CatchingUp(self._redis, self._hub, self._log, peer, subscriptions)
            RESUMES.labels(await catching.run(since)).inc()
        except Expired:
            RESUMES.labels("reset").inc()
            if not announced:
                announce(False)
            lost = [each for each in subscriptions if not each.over]
            for subscription in lost:
                self._hub.add(subscription)
            peer.lost(lost)

    async def _reach(self, shard: int, position: Position) -> None:
        if await read_stream(self._redis, shard, position, position) is None:
            ahead = position[0] / 1000 - time.time() > AHEAD_LIMIT
            if self._log is None or ahead or not await self._log.covers(shard, position):
                raise Expired
        deadline = time.monotonic() + REACH_LIMIT
        wait = REACH_LOOK
        while self._hub.position(shard) < position:
            if time.monotonic() > deadline:
                raise Expired
            await asyncio.sleep(wait)
            wait = min(2 * wait, REACH_LOOK_MAX)


class _CatchingUp:
    """One resume of the channels of one push stream."""

    def __init__(
        self,
        redis: Redis,
        hub: Hub,
        log: PushLog | None,
        peer: Peer,
        subscriptions: Sequence[Subscription],
    ) -> None:
        self._redis = redis
        self._hub = hub
        self._log = log
        self._peer = peer
        self._subscriptions = subscriptions
        self._shard = subscriptions[0].shard
        self._wanted = {each.address: each for each in subscriptions}
        self._reading: Reading | None = None
        self._portion = Portion()
        self._source = "stream"

    async def run(self, since: Position) -> str:
        """Deliver; what it needed for that. Raises Expired."""
        if self._log is not None:
            reading = Reading(self._shard, self._wanted.keys())
            if await self._log.remember(reading, since):
                self._reading = reading
        position = since
        for _ in range(ROUNDS):
            count, position = await self._replay(position, self._hub.position(self._shard))
            if count < PAGE:
                break
        # From here on the hub's frames are kept, in its order, and go out after the older
        # ones: nothing lies between the hub's position now and the first frame kept.
        held: deque[Frame] = deque()
        if self._reading is not None:
            # Of what was lost, some may be pushed again, and the reader has seen it.
            self._hub.know(self._reading.pushed())
        for subscription in self._subscriptions:
            self._hub.add(subscription, held)
        await self._replay(position, self._hub.position(self._shard))
        while held:
            frame = held.popleft()
            if any(
                each.channel == frame.channel
                and not each.over
                and frame.entry.id not in each.unpushed
                for each in self._subscriptions
            ):
                self._peer.deliver(frame)
                await self._peer.outbox.room()
        for subscription in self._subscriptions:
            subscription.held = None
        return self._source

    async def _replay(self, position: Position, until: Position) -> tuple[int, Position]:
        """Deliver what lies between two positions; how many entries were read, and the last."""
        count = 0
        while position < until:
            portion = self._portion
            page = await read_stream(self._redis, self._shard, position, until, portion.count)
            if page is None:
                some, reached = await self._from_log(position, until)
                count += some
                if reached == position and not await self._holds(position):
                    raise Expired  # what is there now is older than the cursor
                position = reached
                continue
            fresh = (each for each in page if self._reading is None or self._reading.takes(each[1]))
            await self._deliver(fresh, pushed=True)
            position = page[-1][0] if page else until
            portion.measure(page)
            count += len(page)
        return count, position

    async def _holds(self, position: Position) -> bool:
        return await read_stream(self._redis, self._shard, position, position) is not None

    async def _from_log(self, position: Position, until: Position) -> tuple[int, Position]:
        if self._log is None:
            raise Expired
        count = 0
        self._reading = self._reading or Reading(self._shard, self._wanted.keys())
        for each in self._subscriptions:
            each.unpushed = self._reading.unpushed
        if self._source == "stream":
            self._source = "archive"
        async for page in self._log.walk(self._reading, position, until):
            if page.source == "log":
                self._source = "log"
            await self._deliver(page.entries, pushed=page.source != "log")
            position = page.position
            count += len(page.entries)
        return count, position

    async def _deliver(self, entries: Iterable[Told], *, pushed: bool) -> None:
        for position, fields in entries:
            entry = Entry(self._shard, position, fields)
            for address in entry.to:
                subscription = self._wanted.get(address)
                if subscription is not None and not subscription.over:
                    if pushed:
                        self._hub.show(entry)
                    self._peer.deliver(Frame(entry, subscription.channel, self._hub.shards))
                    await self._peer.outbox.room()


async def read_stream(
    redis: Redis, shard: int, after: Position, until: Position, count: int = 1
) -> list[Told] | None:
    """So many entries behind ``after`` up to ``until``; None when ``after`` is not held any more.

    Since streams are trimmed at the front only, nothing is missing among them.
    """
    found = await redis.xrange(
        streams.push(shard), format_id(after), format_id(until), count=count + 1
    )
    entries = [(parse_id(id), fields) for id, fields in cast(Raw, found)]
    if not entries or entries[0][0] != after:
        return None
    return entries[1:]
