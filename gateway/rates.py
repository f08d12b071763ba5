"""Rate limits that all gateways share, at the cost of hardly any round trip.

Counted in Redis, in windows that begin with their first request. A gateway takes requests in
portions, as large as its caller used up lately and at most a hundredth of the limit, and gives
out what it has; what it has not given out within a second is lost. So the limit is never
exceeded, at worst slightly undershot, and exact where it is small.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextvars import Context
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from redis.exceptions import RedisError

from bus.broker import connect
from infra.settings import LimitsSettings

log = structlog.get_logger(__name__)

Policy = Literal["caller", "address", "identity"]

WINDOW = 60
LEASE = 1.0
"""Seconds a portion may be given out."""
SHARE = 100
"""A portion is at most the limit divided by this."""
IDENTITY_PATIENCE = 2.0
"""Seconds that those wait for Redis who are refused when it does not answer."""
SULK = 1.0
"""Seconds for which nobody waits for Redis again after it was too slow or away."""
REMEMBERED = 20_000
CONNECTIONS = 16


class RatesAway(Exception):
    """Nobody knows how much is left."""


@dataclass(frozen=True)
class Standing:
    """How a caller stands after a request (draft-ietf-httpapi-ratelimit-headers-10)."""

    name: str
    limit: int
    left: int
    seconds: int
    """Until it is whole again."""
    allowed: bool

    @cached_property
    def policy(self) -> str:
        """The field RateLimit-Policy."""
        return f'"{self.name}";q={self.limit};w={WINDOW}'

    @property
    def now(self) -> str:
        """The field RateLimit."""
        return f'"{self.name}";r={self.left};t={self.seconds}'


class _Bucket:
    """What one gateway knows of one caller. Times are of the loop's clock."""

    __slots__ = ("beyond", "have", "resets", "taken", "task", "until", "waiting")

    def __init__(self) -> None:
        self.have = 0
        self.until = 0.0
        self.taken = 0
        self.beyond = 0
        """What was left in Redis."""
        self.resets = 0.0
        self.waiting: list[asyncio.Future[bool]] = []
        self.task: asyncio.Task[None] | None = None


class Rates:
    """Counts requests. ``take`` raises RatesAway when Redis is away or slow."""

    def __init__(self, redis_url: str, settings: LimitsSettings) -> None:
        self._limits: dict[Policy, int] = {
            "caller": settings.caller,
            "address": settings.address,
            "identity": settings.identity,
        }
        self._patience: dict[Policy, float] = {
            "caller": settings.patience,
            "address": settings.patience,
            "identity": IDENTITY_PATIENCE,
        }
        self._redis = connect(
            redis_url,
            max_connections=CONNECTIONS,
            socket_timeout=max(self._patience.values()),
            retries=0,
        )
        self._storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix="grid8:rates",
            connection_pool=cast(str, self._redis.connection_pool),
        )
        self._buckets: OrderedDict[tuple[Policy, str], _Bucket] = OrderedDict()
        self._sulks_until = 0.0

    async def close(self) -> None:
        """Let go of Redis."""
        await self._redis.aclose()

    async def take(self, policy: Policy, key: str) -> Standing | None:
        """Count one request; None when there is no limit."""
        limit = self._limits[policy]
        if limit == 0:
            return None
        bucket = self._bucket(policy, key)
        now = time.monotonic()
        if bucket.have > 0 and now < bucket.until:
            bucket.have -= 1
            bucket.taken += 1
            return self._standing(policy, bucket, now, allowed=True)
        if bucket.beyond == 0 and now < bucket.resets:
            return self._standing(policy, bucket, now, allowed=False)
        allowed = await self._ask(policy, key, bucket)
        return self._standing(policy, bucket, time.monotonic(), allowed=allowed)

    def _bucket(self, policy: Policy, key: str) -> _Bucket:
        bucket = self._buckets.get((policy, key))
        if bucket is None:
            bucket = self._buckets[policy, key] = _Bucket()
            if len(self._buckets) > REMEMBERED:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end((policy, key))
        return bucket

    def _standing(self, policy: Policy, bucket: _Bucket, now: float, *, allowed: bool) -> Standing:
        left = bucket.beyond + (bucket.have if now < bucket.until else 0)
        seconds = max(1, min(WINDOW, round(bucket.resets - now + 0.5)))
        return Standing(policy, self._limits[policy], left if allowed else 0, seconds, allowed)

    async def _ask(self, policy: Policy, key: str, bucket: _Bucket) -> bool:
        """Join those who wait for the next portion."""
        if policy != "identity" and time.monotonic() < self._sulks_until:
            raise RatesAway
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        bucket.waiting.append(future)
        if bucket.task is None or bucket.task.done():
            # Of nobody's context: it asks for all of them.
            bucket.task = asyncio.create_task(self._fetch(policy, key, bucket), context=Context())
        try:
            async with asyncio.timeout(self._patience[policy]):
                return await future
        except TimeoutError as error:
            self._sulk("too slow")
            raise RatesAway from error

    async def _fetch(self, policy: Policy, key: str, bucket: _Bucket) -> None:
        while bucket.waiting:
            waiting, bucket.waiting = bucket.waiting, []
            try:
                granted = await self._lease(policy, key, bucket, len(waiting))
            except (RedisError, OSError, TimeoutError) as error:
                self._sulk(str(error))
                for future in waiting:
                    if not future.done():
                        future.set_exception(RatesAway())
                continue
            for place, future in enumerate(waiting):
                if not future.done():
                    future.set_result(place < granted)
            bucket.taken = min(granted, len(waiting))
            bucket.have = max(0, granted - len(waiting))

    async def _lease(self, policy: Policy, key: str, bucket: _Bucket, wanted: int) -> int:
        """Take a portion, of ``wanted`` at least; how much of it there was."""
        limit = self._limits[policy]
        largest = max(1, limit // SHARE)
        quick = bucket.have == 0 and time.monotonic() < bucket.until
        amount = max(wanted, min(largest, bucket.taken * 2 if quick else bucket.taken))
        bucket.have = 0
        item = RateLimitItemPerMinute(limit)
        name = item.key_for(policy, key)
        count = await self._storage.incr(name, item.get_expiry(), amount)
        now = time.monotonic()
        if count == amount:
            bucket.resets = now + WINDOW
        elif now >= bucket.resets:
            bucket.resets = now + max(1.0, await self._storage.get_expiry(name) - time.time())
        # Redis tells the end of a window in whole seconds.
        bucket.until = min(now + LEASE, bucket.resets - 0.5)
        bucket.beyond = max(0, limit - count)
        return max(0, min(amount, limit - (count - amount)))

    def _sulk(self, reason: str) -> None:
        now = time.monotonic()
        if now >= self._sulks_until:
            log.warning("rates_away", reason=reason[:300])
        self._sulks_until = now + SULK
