"""Brings a connection from its cursor to the present, without gap and without duplicate."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from redis.asyncio import Redis

from bus import streams
from bus.feed.push_cursor import Position, format_id, parse_id
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


class _Gap(Exception):
    """The stream no longer holds what followed the cursor."""


class History:
    """Reads back the push streams."""

    def __init__(self, redis: Redis, hub: Hub) -> None:
        self._redis = redis
        self._hub = hub

    async def resume(
        self,
        peer: Peer,
        subscriptions: Sequence[Subscription],
        since: Position | None,
        announce: Callable[[bool], None],
    ) -> None:
        """Deliver what the channels had after ``since``, then serve them live.

        The channels are of one push stream. ``announce`` is told, before anything is
        delivered, whether the cursor is still held; where it is not, or ``since`` is None,
        the connection is told that events are lost. Raises redis.RedisError.
        """
        shard = subscriptions[0].shard
        announced = False
        try:
            if since is None:
                raise _Gap
            await self._reach(shard, since)
            announce(True)
            announced = True
            await self._catch_up(peer, subscriptions, shard, since)
            RESUMES.labels("recovered").inc()
        except _Gap:
            RESUMES.labels("reset").inc()
            if not announced:
                announce(False)
            lost = [each for each in subscriptions if not each.over]
            for subscription in lost:
                self._hub.add(subscription)
            peer.lost(lost)

    async def _catch_up(
        self, peer: Peer, subscriptions: Sequence[Subscription], shard: int, since: Position
    ) -> None:
        position = since
        for _ in range(ROUNDS):
            count, position = await self._replay(
                peer, subscriptions, shard, position, self._hub.position(shard)
            )
            if count < PAGE:
                break
        # From here on the hub's frames are kept, in its order, and go out after the older
        # ones: nothing lies between the hub's position now and the first frame kept.
        held: deque[Frame] = deque()
        for subscription in subscriptions:
            self._hub.add(subscription, held)
        await self._replay(peer, subscriptions, shard, position, self._hub.position(shard))
        while held:
            frame = held.popleft()
            if any(each.channel == frame.channel and not each.over for each in subscriptions):
                peer.deliver(frame)
                await peer.outbox.room()
        for subscription in subscriptions:
            subscription.held = None

    async def _replay(
        self,
        peer: Peer,
        subscriptions: Sequence[Subscription],
        shard: int,
        position: Position,
        until: Position,
    ) -> tuple[int, Position]:
        """Deliver what lies between two positions; how many entries were read, and the last."""
        wanted = {each.address: each for each in subscriptions}
        count = 0
        while position < until:
            page = await self._page(shard, position, until)
            if not page:
                raise _Gap
            for entry in page:
                for address in entry.to:
                    subscription = wanted.get(address)
                    if subscription is not None and not subscription.over:
                        self._hub.show(entry)
                        peer.deliver(Frame(entry, subscription.channel, self._hub.shards))
                        await peer.outbox.room()
            position = page[-1].position
            count += len(page)
        return count, position

    async def _reach(self, shard: int, position: Position) -> None:
        await self._page(shard, position, position)
        deadline = time.monotonic() + REACH_LIMIT
        while self._hub.position(shard) < position:
            if time.monotonic() > deadline:
                raise _Gap
            await asyncio.sleep(0.01)

    async def _page(self, shard: int, after: Position, until: Position) -> list[Entry]:
        """Entries after ``after``. Since streams are trimmed at the front only, nothing is
        missing among them as long as ``after`` itself is still there."""
        found = await self._redis.xrange(
            streams.push(shard), format_id(after), format_id(until), count=PAGE + 1
        )
        entries = [Entry(shard, parse_id(id), fields) for id, fields in cast(Raw, found)]
        if not entries or entries[0].position != after:
            raise _Gap
        return entries[1:]
