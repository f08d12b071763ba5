"""Knowing for a moment that nobody else reads a group, so that order costs no round trip.

A consumer that sees no other in its group is the sole one for ``SOLE_FOR`` seconds from when it
looked. It can rely on that because who comes makes its consumer known first and, unless it is
alone itself, begins to read only when that time has passed for everybody. A consumer that died
is seen until it is forgotten: then order is looked after by asking, as with one that lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from redis.exceptions import RedisError

from bus.delivery import PARKED, Delivery
from bus.trim import forget_consumer

SOLE_FOR = 1.0
COMES_AFTER = 1.5
"""Seconds a newcomer waits: more than ``SOLE_FOR``, as clocks run differently."""


class Sole:
    """Whether one consumer is the only one of its group."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._until = 0.0

    @property
    def now(self) -> bool:
        """Whether nobody else can have anything in hand. False when that is not known."""
        return time.monotonic() < self._until

    async def look(self) -> None:
        """Find out. Raises redis.RedisError."""
        since = time.monotonic()
        self._until = since + SOLE_FOR if not await self._others() else 0.0
        if self._until:
            self._delivery.awaited = False

    async def come(self) -> None:
        """Make the consumer known, and return when it may read. Raises redis.RedisError."""
        own = self._delivery
        await own.redis.xgroup_createconsumer(own.stream, own.group, own.consumer)
        if await self._others():
            await asyncio.sleep(COMES_AFTER)

    async def leave(self) -> None:
        """Have the consumer forgotten at once, if it has nothing in hand."""
        self._until = 0.0
        own = self._delivery
        with contextlib.suppress(RedisError):
            await forget_consumer(own.redis, own.stream, own.group, own.consumer)

    async def _others(self) -> bool:
        own = self._delivery
        consumers = await own.redis.xinfo_consumers(own.stream, own.group)
        return any(
            each["name"] != own.consumer.encode()
            and (each["name"] != PARKED.encode() or each["pending"])
            for each in consumers
        )
