"""Circuit breakers whose state every process shares.

A circuit opens after ``threshold`` failures in a row, whichever processes saw them.
While it is open, calls are refused at once; after ``ttl`` seconds one call is let
through, and its outcome closes or reopens the circuit for everyone.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog
from prometheus_client import Counter, Gauge
from purgatory import (
    AsyncAbstractUnitOfWork,
    AsyncCircuitBreakerFactory,
)
from purgatory.domain.model import Context, OpenedState
from purgatory.service._async.circuitbreaker import AsyncCircuitBreaker
from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.breaker_state import Circuits, MemoryCircuits, RedisCircuits
from infra.settings import BreakerSettings

log = structlog.get_logger(__name__)

STATE = Gauge(
    "grid8_breaker_state",
    "Circuit as this process last saw it: 0 closed, 1 half-open, 2 open.",
    ["circuit"],
)
REFUSED = Counter("grid8_breaker_refused_total", "Calls an open circuit refused.", ["circuit"])
_LEVELS = {"closed": 0, "half-opened": 1, "opened": 2}

_REDIS_PATIENCE = 0.5
"""Seconds a breaker waits for Redis: it must not be slower than what it protects."""
_REDIS_PAUSE = 2.0
"""Seconds the breaker stays in memory after Redis failed, so that calls stay fast."""

T = TypeVar("T")


class DependencyUnavailable(Exception):
    """A dependency cannot be used now: try again in ``retry_after`` seconds."""

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(f"{name} is unavailable; retry in {retry_after:.1f} s")
        self.name = name
        self.retry_after = retry_after


class _Unit(AsyncAbstractUnitOfWork):
    def __init__(self, contexts: Circuits) -> None:
        self.contexts: Circuits = contexts

    async def commit(self) -> None: ...

    async def rollback(self) -> None: ...


class _Board:
    """The circuits of one memory: Redis or this process."""

    def __init__(self, circuits: Circuits, settings: BreakerSettings) -> None:
        self.circuits = circuits
        self.factory = AsyncCircuitBreakerFactory(
            default_threshold=settings.threshold, default_ttl=settings.ttl, uow=_Unit(circuits)
        )


@dataclass
class _Entry:
    board: _Board
    breaker: AsyncCircuitBreaker
    probing: bool

    @property
    def context(self) -> Context:
        return self.breaker.context


class Breakers:
    """All circuits of this process. Without Redis, or while it is down, they are local."""

    def __init__(self, redis: Redis | None, settings: BreakerSettings) -> None:
        self._settings = settings
        self._memory = _Board(MemoryCircuits(settings.threshold, settings.ttl), settings)
        self._shared = (
            _Board(RedisCircuits(redis, settings.threshold, settings.ttl), settings)
            if redis is not None
            else None
        )
        self._shared_again_at = -math.inf

    async def start(self) -> None:
        """Prepare the shared state. Never fails: without Redis the circuits are local."""
        if self._shared is not None:
            await self._attempt(self._shared.circuits.initialize())

    @asynccontextmanager
    async def guard(
        self, name: str, counted: tuple[type[BaseException], ...] = (OSError,)
    ) -> AsyncIterator[None]:
        """Run one call of the dependency ``name``.

        Raises DependencyUnavailable instead of running it while the circuit is open.
        Exceptions of the ``counted`` types are failures of the dependency; any other
        Exception is an answer it gave, and a cancelled call says nothing about it. The
        default counts what the network raises: connection, name resolution, timeout.
        """
        entry = await self._enter(name)
        try:
            yield
        except BaseException as error:
            if isinstance(error, counted):
                await self._settle(entry, name, error)
            elif isinstance(error, Exception):
                await self._settle(entry, name, None)
            elif entry.probing:
                await self._attempt(entry.board.circuits.release_probe(name))
            raise
        else:
            await self._settle(entry, name, None)

    async def _enter(self, name: str) -> _Entry:
        if self._shared is not None and time.monotonic() >= self._shared_again_at:
            found, entry = await self._attempt(self._look(self._shared, name))
            if found and entry is not None:
                return entry
        return await self._look(self._memory, name)

    async def _look(self, board: _Board, name: str) -> _Entry:
        breaker = await board.factory.get_breaker(name)
        context = breaker.context
        try:
            await breaker.__aenter__()
        except OpenedState as opened:
            STATE.labels(name).set(_LEVELS["opened"])
            left = (opened.opened_at or 0.0) + self._settings.ttl - time.time()
            raise self._refusal(name, left) from None
        STATE.labels(name).set(_LEVELS[context.state])
        probing = context.state == "half-opened"
        if probing and not await board.circuits.claim_probe(name):
            raise self._refusal(name, min(1.0, self._settings.ttl))
        return _Entry(board, breaker, probing)

    def _refusal(self, name: str, seconds: float) -> DependencyUnavailable:
        REFUSED.labels(name).inc()
        return DependencyUnavailable(name, min(max(seconds, 0.05), self._settings.ttl))

    async def _settle(self, entry: _Entry, name: str, failure: BaseException | None) -> None:
        before = entry.context.state
        done, _ = await self._attempt(self._record(entry, name, failure))
        if not done and failure is not None:
            breaker = await self._memory.factory.get_breaker(name)
            await breaker.__aexit__(type(failure), failure, None)
            STATE.labels(name).set(_LEVELS[breaker.context.state])
            return
        after = entry.context.state
        STATE.labels(name).set(_LEVELS[after])
        if after != before:
            log.warning("breaker_changed", circuit=name, state=after, error=repr(failure))

    async def _record(self, entry: _Entry, name: str, failure: BaseException | None) -> None:
        kind = type(failure) if failure is not None else None
        await entry.breaker.__aexit__(kind, failure, None)
        if entry.probing:
            await entry.board.circuits.release_probe(name)

    async def _attempt(self, work: Awaitable[T]) -> tuple[bool, T | None]:
        """(True, result), or (False, None) when Redis could not be asked in time."""
        try:
            async with asyncio.timeout(_REDIS_PATIENCE):
                return True, await work
        except (RedisError, OSError) as error:
            self._shared_again_at = time.monotonic() + _REDIS_PAUSE
            log.warning("breaker_state_is_local", error=repr(error))
            return False, None
