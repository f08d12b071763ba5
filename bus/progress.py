"""How far long work is, told to live listeners at once and kept nowhere.

It goes beside the streams, by pub/sub: what nobody hears is lost, and nothing waits for it.
Whether work has ended is said by events, never by this.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bus import streams
from contracts.realtime.views import ProgressView
from contracts.types import now

EVERY = 0.1
"""Seconds between two tellings of one step; the first and the last of it are always told."""
PATIENCE = 0.5
"""Seconds that Redis may take before work goes on untold."""


class Progress:
    """Tells one channel of one piece of work."""

    def __init__(self, redis: Redis, *, work: str, subject: str, org: str, channel: str) -> None:
        self._redis = redis
        self._work = work
        self._subject = subject
        self._to = streams.address_of(org, channel)
        self._stage = ""
        self._told = 0.0

    async def tell(
        self, stage: str, done: int, total: int | None = None, *, unit: str = "steps"
    ) -> None:
        """Tell how far a step is. Never fails, and leaves out what comes too fast."""
        again = stage == self._stage and done != total
        if again and time.monotonic() - self._told < EVERY:
            return
        self._stage, self._told = stage, time.monotonic()
        view = ProgressView(
            work=self._work,
            subject=self._subject,
            stage=stage,
            done=done,
            total=total,
            unit=unit,
            at=now(),
        )
        body = json.dumps({"to": self._to, "progress": view.model_dump(mode="json")})
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(PATIENCE):
                await self._redis.publish(streams.PROGRESS, body)
