"""Who is present on a channel, over all notifiers.

A person is present while one of their connections, at whichever notifier, is subscribed.
life.py says that this notifier is alive; members.py writes whom it serves; watches.py tells
those who have asked. What is in Redis is in infra/presence.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bus.tasks import end
from handlers.notifier.hub import Hub
from handlers.notifier.presence.life import Life
from handlers.notifier.presence.members import Members
from handlers.notifier.presence.watches import Watches
from infra.presence.notifiers import Execute
from infra.settings import NotifierSettings

log = structlog.get_logger(__name__)


class Presence:
    """Of the connections of a hub."""

    def __init__(self, execute: Execute, life: Life, hub: Hub, settings: NotifierSettings) -> None:
        self.members = Members(execute, life, grace=settings.presence_grace)
        self.watches = Watches(execute, life, self.members, settings)
        hub.on_served.append(self.members.come)
        hub.on_ended += [self.members.go, self.watches.unwatch]

    @asynccontextmanager
    async def running(self, redis: Redis) -> AsyncIterator[None]:
        """Write, hear and tell. At the end clients have the grace to come back elsewhere."""
        tasks = [
            asyncio.create_task(work, name="presence")
            for work in (self.members.run(), self.watches.run(), self.watches.listen(redis))
        ]
        try:
            yield
        finally:
            await end(*tasks)


@asynccontextmanager
async def living(execute: Execute, settings: NotifierSettings) -> AsyncIterator[Life]:
    """Be one of the notifiers. Raises redis.RedisError."""
    life = Life(execute, alive_for=settings.alive_for)
    await life.begin()
    beating = asyncio.create_task(life.run(), name="life")
    try:
        yield life
    finally:
        await end(beating)
        try:
            await life.end(after=settings.presence_grace)
        except (RedisError, OSError) as error:
            log.warning("life_not_ended", reason=str(error)[:200])
