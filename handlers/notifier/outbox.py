"""A bounded queue before each socket, so that a slow reader delays nobody else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bus.tasks import end
from handlers.notifier.metrics import QUEUED

T = TypeVar("T")


class Outbox(Generic[T]):
    """Writes items to one socket in order.

    ``direct`` writes at once if the socket takes it, and says whether it did; ``send`` waits
    until the socket takes it; ``overflow`` is called when ``limit`` items wait. A socket
    that keeps up needs no task and no queue.
    """

    __slots__ = ("_direct", "_limit", "_overflow", "_queue", "_room", "_send", "_writer", "closed")

    def __init__(
        self,
        limit: int,
        *,
        send: Callable[[T], Awaitable[None]],
        direct: Callable[[T], bool],
        overflow: Callable[[], None],
    ) -> None:
        self.closed = False
        self._limit = limit
        self._send = send
        self._direct = direct
        self._overflow = overflow
        self._queue: deque[T] = deque()
        self._room: asyncio.Event | None = None
        self._writer: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Items that wait for the socket."""
        return len(self._queue)

    def offer(self, item: T) -> None:
        """Write the item, or queue it, or overflow. Never waits."""
        if self.closed or (not self._queue and self._direct(item)):
            return
        if len(self._queue) >= self._limit:
            self._overflow()
            return
        self._queue.append(item)
        QUEUED.inc()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    def spare(self, item: T) -> None:
        """Write the item if nothing waits before it; else leave it out."""
        if not self._queue:
            self.offer(item)

    async def room(self) -> None:
        """Wait until the queue is no more than half full."""
        while not self.closed and len(self._queue) > self._limit // 2:
            self._room = self._room or asyncio.Event()
            await self._room.wait()

    async def flush(self) -> None:
        """Wait until everything offered has been written."""
        if self._writer is not None:
            await asyncio.shield(self._writer)

    def close(self, *, drop: bool) -> None:
        """Take nothing more; with ``drop``, forget what waits."""
        self.closed = True
        if drop:
            QUEUED.dec(len(self._queue))
            self._queue.clear()
        self._wake()

    async def stop(self) -> None:
        """End the writer, whatever it waits for."""
        self.close(drop=True)
        await end(self._writer)

    async def _write(self) -> None:
        try:
            while self._queue:
                item = self._queue.popleft()
                QUEUED.dec()
                if self._room is not None and len(self._queue) <= self._limit // 2:
                    self._wake()
                await self._send(item)
        except (OSError, RuntimeError):
            self.close(drop=True)  # the socket is gone; its reader notices too
        finally:
            self._writer = None

    def _wake(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None
