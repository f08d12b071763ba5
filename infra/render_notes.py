"""What workers tell one another of pictures that are being rendered, or could not be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from contracts.errors import Failure

HELD = 10.0
"""Seconds after which somebody else may render what a process was rendering when it died."""


class RenderNotes:
    """Notes in Redis, two per picture at most; both expire. ``picture`` is its key in the store."""

    def __init__(self, redis: Redis, *, pause: float) -> None:
        self._redis = redis
        self._pause = pause

    @asynccontextmanager
    async def alone(self, picture: str) -> AsyncIterator[bool]:
        """Whether nobody else is rendering it, and nobody will as long as this is entered.

        Raises redis.RedisError on entry.
        """
        lock = self._redis.lock(f"{_key(picture)}:rendering", timeout=HELD, blocking=False)
        if not await lock.acquire():
            yield False
            return
        keeping = asyncio.create_task(_keep(lock))
        try:
            yield True
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            with suppress(LockError, RedisError, OSError):
                await lock.release()

    async def failed(self, picture: str, failure: Failure) -> None:
        """Note that it is not to be tried again for a while, and why."""
        value = failure.model_dump_json()
        await self._redis.set(_key(picture), value, px=int(self._pause * 1000))

    async def failure(self, picture: str) -> Failure | None:
        """Why it could not be rendered a moment ago."""
        found = await self._redis.get(_key(picture))
        return Failure.model_validate_json(found) if found is not None else None


async def _keep(lock: Lock) -> None:
    while True:
        await asyncio.sleep(HELD / 5)
        with suppress(LockError, RedisError, OSError):
            await lock.extend(HELD, replace_ttl=True)


def _key(picture: str) -> str:
    return f"grid8:{{asset}}:picture:{picture}"
