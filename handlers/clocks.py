"""What is due because time has passed: looked for now and then, and sent as commands.

Several processes may run the same clock. One of them rings per period; a command that is sent
twice all the same must do no harm, as any other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis

from bus.publisher import Publisher
from contracts.base import Command
from contracts.envelope import Envelope

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Clock:
    """``due`` tells what is to be done now; it reads and never writes.

    The commands come in no organization and from nobody: what they need is in them. ``name``
    begins with the domain.
    """

    name: str
    every: float
    """Seconds."""
    due: Callable[[], Awaitable[Sequence[Command]]]


async def run_clock(clock: Clock, redis: Redis, publisher: Publisher) -> None:
    """Ring until cancelled."""
    while True:
        # Not all at the same instant, or each would find what the others are about to do.
        await asyncio.sleep(clock.every * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        try:
            await ring(clock, redis, publisher)
        except Exception as error:
            log.warning("clock_interrupted", clock=clock.name, reason=str(error)[:300])


async def ring(clock: Clock, redis: Redis, publisher: Publisher) -> int:
    """Send what is due, unless somebody has within the period; how many commands were sent."""
    period = max(1, int(clock.every * 500))
    if not await redis.set(f"grid8:clock:{clock.name}", "", nx=True, px=period):
        return 0
    commands = await clock.due()
    source = f"/grid8/clock/{clock.name}"
    await publisher.publish([Envelope.of_command(each, source=source) for each in commands])
    return len(commands)
