"""Keeps the archive of pushes up to date: for each push stream, one notifier at a time."""

from __future__ import annotations

import asyncio

import structlog
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bus.feed.archive import PushArchive
from bus.tasks import end
from handlers.notifier.metrics import ARCHIVED, BEHIND, HOLES, LATE
from infra.leases import LeaseTaken, leased

log = structlog.get_logger(__name__)

PAUSE = 0.03
"""Seconds between passes that are behind, in which events go to sockets."""


class Archivist:
    """Copies each push stream ``every`` so many seconds, and at once what is left over."""

    def __init__(self, archive: PushArchive, redis: Redis, *, shards: int, every: float) -> None:
        self._archive = archive
        self._redis = redis
        self._shards = shards
        self._every = every
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to copy."""
        for shard in range(self._shards):
            task = asyncio.create_task(self._run(shard), name=f"push archive {shard}")
            self._tasks.append(task)

    async def stop(self) -> None:
        """Copy no more; others take over at once."""
        await end(*self._tasks)

    async def _run(self, shard: int) -> None:
        while True:
            try:
                async with leased(self._redis, f"push archive {shard}") as lease:
                    while lease.held:
                        behind = await self._pass(shard)
                        await asyncio.sleep(PAUSE if behind else self._every)
            except LeaseTaken:
                pass
            except (RedisError, PyMongoError, OSError) as error:
                log.warning("push_archive_interrupted", shard=shard, reason=str(error)[:200])
            except Exception:
                log.exception("push_archive_failed", shard=shard)
            finally:
                for gauge in (BEHIND, LATE):
                    gauge.labels(str(shard)).set(0)  # it is another's to say
            await asyncio.sleep(self._every)

    async def _pass(self, shard: int) -> int:
        """How many entries are left."""
        done = await self._archive.advance(shard)
        label = str(shard)
        BEHIND.labels(label).set(done.behind)
        LATE.labels(label).set(done.seconds)
        if done.copied:
            ARCHIVED.labels(label).inc(done.copied)
        if done.lost:
            HOLES.labels(label).inc()
            log.warning("push_archive_hole", shard=shard)
        return done.behind
