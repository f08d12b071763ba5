"""The order of what is observed: of a stream, whoever reads it and whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import structlog
from redis.exceptions import RedisError

from bus.delivery import SUSPICIOUS, Delivery, Entry, Held

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.02

Show = Callable[[Sequence[Entry]], Awaitable[list[Entry]]]
"""Shows entries to an observer; those it could not be shown together."""


class Turns:
    """One consumer's of a stream that is observed: what it reads, and what it takes over."""

    def __init__(self, delivery: Delivery, show: Show, stopping: Callable[[], bool]) -> None:
        self._delivery = delivery
        self._show = show
        self._stopping = stopping
        self._turn = asyncio.Lock()

    async def read(self, entries: Iterable[Entry]) -> list[Entry]:
        """Observe what was read when all before it has been; what is to be handled alone."""
        taken = [entry for entry in entries if self._delivery.take(entry.id)]
        async with self._turn:
            return await self._show_in_turn(taken)

    async def reclaimed(self, room: int) -> list[Entry]:
        """Observe what is due again or was left by the dead; what is to be handled alone."""
        async with self._turn:
            claimed = _in_order(await self._delivery.reclaim(room))
            taken = [entry for entry in claimed if self._delivery.take(entry.id)]
            alone = [entry for entry in taken if entry.attempt > SUSPICIOUS]
            rest = [each for each in taken if each not in alone]
            # Others may have in hand what lies between these.
            among = bool(rest) and await held_before(self._delivery, rest[-1].id)
            for part in [[each] for each in rest] if among else [rest]:
                alone += await self._show_in_turn(part)
            return alone

    async def _show_in_turn(self, taken: Sequence[Entry]) -> list[Entry]:
        """Those that are to be handled alone."""
        alone: list[Entry] = []
        if taken:
            async for dead in earlier(self._delivery, taken[0].id):
                alone += await self._show(_in_order(dead))
                if self._stopping():
                    break
        return alone + await self._show(taken)


async def earlier(delivery: Delivery, first: str) -> AsyncIterator[list[Entry]]:
    """Wait until no other consumer has in hand what came before the entry ``first``.

    What is taken over from the dead on the way is given out, oldest first, to be observed
    before ``first``; an empty list is a look in vain. It ends for good after twice the time in
    which the dead are noticed, and at once when Redis is away or an entry is suspected to have
    killed its consumers: order is no reason to stand still.
    """
    deadline = time.monotonic() + 2 * delivery.claim_after
    while held := await held_before(delivery, first):
        if time.monotonic() > deadline:
            log.warning("observed_out_of_order", stream=delivery.stream, entries=len(held))
            return
        try:
            dead = await delivery.take_over(held)
        except RedisError as error:
            _order_unknown(delivery, error)
            return
        yield dead
        await asyncio.sleep(LOOK_EVERY)


async def held_before(delivery: Delivery, first: str) -> list[Held]:
    """What others have in hand that is to be observed before an entry; none if that is unknown.

    An entry that was delivered repeatedly counts as long as somebody is alive with it.
    """
    try:
        held = await delivery.held_by_others(first)
    except RedisError as error:
        _order_unknown(delivery, error)
        return []
    alive = delivery.claim_after
    return [each for each in held if each.deliveries <= SUSPICIOUS or each.idle < alive]


def _order_unknown(delivery: Delivery, error: RedisError) -> None:
    log.warning("order_unknown", stream=delivery.stream, reason=str(error)[:200])


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    """As they are in their stream."""
    return sorted(entries, key=lambda each: [int(part) for part in each.id.split("-")])
