"""A lock across processes that frees itself when its holder dies."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

SECONDS = 8.0
"""How long a lock outlives its holder."""
_LOOK_EVERY = 0.05

_TAKE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
redis.call('SET', KEYS[2], redis.call('GET', KEYS[1]), 'PX', ARGV[2])
return 0
"""
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('GET', KEYS[2]) == ARGV[1] and 2 or 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
"""


class LeaseTaken(Exception):
    """Somebody else has the lock."""


class Lease:
    """A lock while it is held."""

    def __init__(self, redis: Redis, name: str, token: str, seconds: float) -> None:
        self.wanted = False
        """Whether somebody has come for it since it was taken."""
        self._redis = redis
        self._name = name
        self._token = token
        self._seconds = seconds
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether nobody else can have it now: a holder that stood still must look."""
        return time.monotonic() < self._until

    async def take(self, patience: float) -> None:
        """Raises LeaseTaken when it has not been free for ``patience`` seconds."""
        deadline = time.monotonic() + patience
        while True:
            begun = time.monotonic()
            if await self._run(_TAKE):
                self._until = begun + self._seconds
                return
            if begun >= deadline:
                raise LeaseTaken(self._name)
            await asyncio.sleep(_LOOK_EVERY)

    async def keep(self) -> None:
        """Renew it until cancelled, or until it is lost."""
        while self.held:
            await asyncio.sleep(self._seconds / 8)
            begun = time.monotonic()
            try:
                answer = await self._run(_RENEW)
            except (RedisError, OSError) as error:
                log.warning("lease_not_renewed", lease=self._name, reason=str(error)[:200])
                continue
            if not answer:
                self._until = 0.0
                return
            self._until = begun + self._seconds
            self.wanted = answer == 2

    async def release(self) -> None:
        """Give it back; where that fails, it frees itself."""
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._run(_RELEASE)

    async def _run(self, script: str) -> int:
        # In braces, so that both are in one slot of a cluster.
        lock = f"grid8:lease:{{{self._name}}}"
        answer = await self._redis.eval(
            script, 2, lock, f"{lock}:wanted", self._token, str(int(self._seconds * 1000))
        )
        return int(answer)


@asynccontextmanager
async def leased(
    redis: Redis, name: str, *, patience: float = 0.0, seconds: float = SECONDS
) -> AsyncIterator[Lease]:
    """Hold the lock ``name``. Raises LeaseTaken, or RedisError while Redis is away."""
    lease = Lease(redis, name, secrets.token_hex(16), seconds)
    await lease.take(patience)
    keeping = asyncio.create_task(lease.keep())
    try:
        yield lease
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await asyncio.shield(asyncio.ensure_future(lease.release()))


@asynccontextmanager
async def alone(redis: Redis, name: str, *, seconds: float = SECONDS) -> AsyncIterator[bool]:
    """Whether nobody else is at it, and nobody will be as long as this is entered.

    Raises redis.RedisError on entry.
    """
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(leased(redis, name, seconds=seconds))
        except LeaseTaken:
            mine = False
        else:
            mine = True
        yield mine
