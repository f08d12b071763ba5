"""What workers tell one another of pictures that are being rendered, or could not be."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from redis.asyncio import Redis

from contracts.errors import Failure
from infra.leases import alone

HELD = 10.0
"""Seconds after which somebody else may render what a process was rendering when it died."""


class RenderNotes:
    """Notes in Redis, two per picture at most; both expire. ``picture`` is its key in the store."""

    def __init__(self, redis: Redis, *, pause: float) -> None:
        self._redis = redis
        self._pause = pause

    def alone(self, picture: str) -> AbstractAsyncContextManager[bool]:
        """Whether nobody else is rendering it, and nobody will as long as this is entered.

        Raises redis.RedisError on entry.
        """
        return alone(self._redis, f"picture:{picture}", seconds=HELD)

    async def failed(self, picture: str, failure: Failure) -> None:
        """Note that it is not to be tried again for a while, and why."""
        value = failure.model_dump_json()
        await self._redis.set(_key(picture), value, px=int(self._pause * 1000))

    async def failure(self, picture: str) -> Failure | None:
        """Why it could not be rendered a moment ago."""
        found = await self._redis.get(_key(picture))
        return Failure.model_validate_json(found) if found is not None else None


def _key(picture: str) -> str:
    return f"grid8:{{asset}}:picture:{picture}"
