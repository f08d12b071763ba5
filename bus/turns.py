"""The order of what is observed: of a stream, whoever reads it and whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial

import structlog
from redis.exceptions import RedisError

from bus.delivery import PARKED, SUSPICIOUS, Delivery, Entry, Held
from bus.sole import Sole

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.02
PAGE = 500

Show = Callable[[Sequence[Entry]], Awaitable[list[Entry]]]
"""Shows entries to an observer; those it could not be shown together."""


class Turns:
    """One consumer's of a stream that is observed: what it reads, and what it takes over.

    What has been delivered more than ``most`` times is not shown: it is to be buried.
    """

    def __init__(
        self, delivery: Delivery, show: Show, stopping: Callable[[], bool], *, most: int
    ) -> None:
        self._delivery = delivery
        self._show = show
        self._stopping = stopping
        self._most = most
        self._turn = asyncio.Lock()
        self.sole = Sole(delivery)

    async def read(self, entries: Iterable[Entry]) -> list[Entry]:
        """Observe what was read when all before it has been; what is to be handled alone."""
        taken = [entry for entry in entries if self._delivery.take(entry.id)]
        try:
            async with self._turn:
                return await self._show_in_turn(taken)
        except Exception:
            for each in taken:  # it is claimed again, and not kept alive for ever
                self._delivery.in_hand.pop(each.id, None)
            raise

    async def reclaimed(self, room: int) -> list[Entry]:
        """Observe what is due again or was left by the dead; what is to be handled alone."""
        async with self._turn:
            claimed = _in_order(await self._delivery.reclaim(room))
            taken = [entry for entry in claimed if self._delivery.take(entry.id)]
            if not taken:
                return []
            # Others may have in hand what lies between these; and a suspect is shown by itself.
            apart = any(each.attempt > SUSPICIOUS for each in taken) or bool(
                not self.sole.now and await held_before(self._delivery, taken[-1].id)
            )
            alone: list[Entry] = []
            for part in [[each] for each in taken] if apart else [taken]:
                alone += await self._show_in_turn(part)
            return alone

    async def _show_in_turn(self, taken: Sequence[Entry]) -> list[Entry]:
        """Those that are to be handled alone."""
        alone: list[Entry] = []
        if taken and not self.sole.now:
            async for dead in earlier(self._delivery, taken[0].id):
                alone += await self._show_some(_in_order(dead))
                if self._stopping():
                    break
        return alone + await self._show_some(taken)

    async def _show_some(self, entries: Sequence[Entry]) -> list[Entry]:
        exhausted = [each for each in entries if each.attempt > self._most]
        left = await self._show([each for each in entries if each.attempt <= self._most])
        return exhausted + left


async def earlier(delivery: Delivery, first: str) -> AsyncIterator[list[Entry]]:
    """Wait until no other consumer has in hand what came before the entry ``first``.

    What is taken over from the dead on the way is given out, oldest first, to be observed
    before ``first``; an empty list is a look in vain. It ends for good after twice the time in
    which the dead are noticed, if nothing could be taken over meanwhile, and at once when
    Redis is away: order is no reason to stand still.
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
        if dead:
            deadline = time.monotonic() + 2 * delivery.claim_after
        else:
            await asyncio.sleep(LOOK_EVERY)


async def held_before(delivery: Delivery, first: str) -> list[Held]:
    """What others have in hand that is to be observed before an entry: of the oldest, some.

    None if that is unknown.
    """
    pending = partial(delivery.pipeline.execute, "XPENDING", delivery.stream, delivery.group)
    try:
        names = {name.decode() for name, _ in (await pending())[3] or ()} - {delivery.consumer}
        delivery.awaited = bool(names - {PARKED})
        start = "-"
        while names:
            # By id and not by consumer, so that what is just being taken over is not missed.
            rows = await pending(start, f"({first}", PAGE)
            held = [
                Held(id.decode(), idle / 1000, int(count))
                for id, name, idle, count in rows
                # Of what is parked, only what was handed back: the rest has had its turn.
                if name.decode() != delivery.consumer and (name.decode() != PARKED or not count)
            ]
            if held or len(rows) < PAGE:
                return held
            start = f"({rows[-1][0].decode()}"
    except RedisError as error:
        _order_unknown(delivery, error)
    return []


def _order_unknown(delivery: Delivery, error: RedisError) -> None:
    log.warning("order_unknown", stream=delivery.stream, reason=str(error)[:200])


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    """As they are in their stream."""
    return sorted(entries, key=lambda each: [int(part) for part in each.id.split("-")])
