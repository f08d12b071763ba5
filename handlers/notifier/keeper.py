"""Once a heartbeat: event streams stay good for coming back, and queues are measured."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from redis.exceptions import RedisError

from bus.tasks import end
from handlers.notifier.hub import Hub
from handlers.notifier.metrics import QUEUES
from handlers.notifier.peer import Close
from infra.event_streams import EventStream, EventStreams

log = structlog.get_logger(__name__)

REPLACED = "the stream goes on in another connection"


class Streaming(Protocol):
    """A connection that serves an event stream."""

    stream: EventStream

    def close(self, code: Close, reason: str) -> None:
        """End it soon. Can be repeated."""


class Keeper:
    """Knows the event streams of this process.

    A stream has one connection. When its client comes back, the one before it ends: at once
    in the same process, with the next heartbeat at another notifier.
    """

    def __init__(self, streams: EventStreams, hub: Hub, *, every: float) -> None:
        self._streams = streams
        self._hub = hub
        self._every = every
        self._serving: dict[str, Streaming] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._watch(), name="event streams")

    async def stop(self) -> None:
        """Look no more."""
        await end(self._task)

    def take(self, connection: Streaming) -> None:
        """Know a connection, and end the one it comes in place of."""
        before = self._serving.get(connection.stream.key)
        self._serving[connection.stream.key] = connection
        if before is not None:
            before.close(Close.REPLACED, REPLACED)

    def release(self, connection: Streaming) -> None:
        """Forget a connection. Its stream can be gone on with for as long as is set."""
        if self._serving.get(connection.stream.key) is connection:
            del self._serving[connection.stream.key]

    async def look(self) -> None:
        """Keep all streams; end those that go on elsewhere. Raises redis.RedisError."""
        for peer in self._hub.everyone():
            QUEUES.labels(peer.transport).observe(peer.outbox.waiting)
        serving = {each.stream.holder: each for each in self._serving.values()}
        for stream in await self._streams.keep([each.stream for each in serving.values()]):
            serving[stream.holder].close(Close.REPLACED, REPLACED)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.warning("event_streams_not_kept", reason=str(error)[:200])
            except Exception:
                log.exception("event_streams_not_kept")
