"""Where circuits keep their state: in Redis for all processes, or in this one.

purgatory's own Redis repository opens a client of its own that nothing closes, writes
back a state it has read before (a lost update between processes), and lets every caller
through while half-open; these repositories do not.
"""

from __future__ import annotations

import abc
import time
from typing import Any, cast

from purgatory.domain.messages.base import Message
from purgatory.domain.model import Context
from purgatory.service._async.repository import AsyncAbstractRepository
from purgatory.typing import StateName
from redis.asyncio import Redis

_FAILED = """
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
if failures >= tonumber(ARGV[1]) and (redis.call('HGET', KEYS[1], 'state') or 'closed') == 'closed' then
  redis.call('HSET', KEYS[1], 'state', 'opened', 'opened_at', ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return failures
"""


class Circuits(AsyncAbstractRepository):
    """purgatory's repository, and the right to be the one call of a half-open circuit."""

    @abc.abstractmethod
    async def claim_probe(self, name: str) -> bool:
        """True for one caller until it releases the probe or ``ttl`` seconds have passed."""

    @abc.abstractmethod
    async def release_probe(self, name: str) -> None:
        """Let another caller probe."""


class MemoryCircuits(Circuits):
    def __init__(self, threshold: int, ttl: float) -> None:
        self.messages: list[Message] = []
        self._threshold = threshold
        self._ttl = ttl
        self._contexts: dict[str, Context] = {}
        self._probes: dict[str, float] = {}

    async def get(self, name: str) -> Context:
        return self._contexts.setdefault(name, Context(name, self._threshold, self._ttl))

    async def register(self, context: Context) -> None:
        self._contexts[context.name] = context

    # The context handed out is the state itself, so there is nothing to write back.
    async def update_state(self, name: str, state: str, opened_at: float | None) -> None: ...

    async def inc_failures(self, name: str, failure_count: int) -> None: ...

    async def reset_failure(self, name: str) -> None: ...

    async def claim_probe(self, name: str) -> bool:
        now = time.monotonic()
        if self._probes.get(name, 0.0) > now:
            return False
        self._probes[name] = now + self._ttl
        return True

    async def release_probe(self, name: str) -> None:
        self._probes.pop(name, None)


class RedisCircuits(Circuits):
    """One hash per circuit that is not plainly closed, gone when nothing fails for long."""

    def __init__(self, redis: Redis, threshold: int, ttl: float) -> None:
        self.messages: list[Message] = []
        # redis-py types each command for the sync and the async client at once.
        self._redis = cast(Any, redis)
        self._threshold = threshold
        self._ttl = ttl
        self._probe_ms = max(1, int(ttl * 1000))
        self._keep_ms = max(3_600_000, int(ttl * 10_000))
        self._failed = self._redis.register_script(_FAILED)

    async def initialize(self) -> None:
        await self._redis.ping()

    async def get(self, name: str) -> Context:
        state, opened_at, failures = await self._redis.hmget(
            _key(name), ["state", "opened_at", "failures"]
        )
        return Context(
            name,
            self._threshold,
            self._ttl,
            state=cast(StateName, _text(state) or "closed"),
            failure_count=int(failures or 0),
            opened_at=float(opened_at) if opened_at else None,
        )

    async def register(self, context: Context) -> None:
        """A circuit nobody has failed is closed: there is nothing to store."""

    async def update_state(self, name: str, state: str, opened_at: float | None) -> None:
        if state == "closed":
            await self._redis.delete(_key(name))
            return
        fields = {"state": state}
        if opened_at is not None:
            fields["opened_at"] = repr(opened_at)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_key(name), mapping=fields)
            pipe.pexpire(_key(name), self._keep_ms)
            await pipe.execute()

    async def inc_failures(self, name: str, failure_count: int) -> None:
        # Counted where all processes count: the number a caller has read is old by now.
        await self._failed(
            keys=[_key(name)], args=[self._threshold, repr(time.time()), self._keep_ms]
        )

    async def reset_failure(self, name: str) -> None:
        await self._redis.hdel(_key(name), "failures")

    async def claim_probe(self, name: str) -> bool:
        return bool(await self._redis.set(_key(name) + ":probe", "1", nx=True, px=self._probe_ms))

    async def release_probe(self, name: str) -> None:
        await self._redis.delete(_key(name) + ":probe")


def _key(name: str) -> str:
    # The braces keep a circuit and its probe in one slot of a Redis Cluster.
    return f"grid8:breaker:{{{name}}}"


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
