"""A bounded queue before each connection, so that a slow reader delays nobody else."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from bus.tasks import end
from handlers.notifier.metrics import QUEUED

T = TypeVar("T")

_NOTHING: deque[Any] = deque()
"""Stands for every queue that holds nothing: an empty one would have 600 bytes of its own."""


class Bounded(ABC, Generic[T]):
    """Writes items to one connection in order; ``overflow`` is called when ``limit`` wait."""

    __slots__ = ("_limit", "_overflow", "_queue", "_room", "closed")

    def __init__(self, limit: int, overflow: Callable[[], None]) -> None:
        self.closed = False
        self._limit = limit
        self._overflow = overflow
        self._queue: deque[T] = _NOTHING
        self._room: asyncio.Event | None = None

    @abstractmethod
    def offer(self, item: T) -> None:
        """Write the item, or queue it, or overflow. Never waits."""

    @abstractmethod
    async def flush(self) -> None:
        """Wait until everything offered has been written."""

    @property
    def waiting(self) -> int:
        """Items that wait for the connection."""
        return len(self._queue)

    def spare(self, item: T) -> None:
        """Write the item if nothing waits before it; else leave it out."""
        if not self._queue:
            self.offer(item)

    async def room(self) -> None:
        """Wait until the queue is no more than half full."""
        await self._until(self._limit // 2)

    def close(self, *, drop: bool) -> None:
        """Take nothing more; with ``drop``, forget what waits."""
        self.closed = True
        if drop:
            QUEUED.dec(len(self._queue))
            self._queue = _NOTHING
        self._wake()

    async def stop(self) -> None:
        """Take nothing more, forget what waits, and leave nothing running."""
        self.close(drop=True)

    def _append(self, item: T) -> bool:
        """Whether there was room for the item."""
        if len(self._queue) >= self._limit:
            self._overflow()
            return False
        if self._queue is _NOTHING:
            self._queue = deque()
        self._queue.append(item)
        QUEUED.inc()
        return True

    def _pop(self) -> T:
        item = self._queue.popleft()
        QUEUED.dec()
        if not self._queue:
            self._queue = _NOTHING
        if self._room is not None and len(self._queue) <= self._limit // 2:
            self._wake()
        return item

    async def _until(self, length: int) -> None:
        while not self.closed and len(self._queue) > length:
            self._room = self._room or asyncio.Event()
            await self._room.wait()

    def _wake(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None


class Outbox(Bounded[T]):
    """For what is written by a coroutine.

    ``direct`` writes at once if the connection takes it, and says whether it did; ``send``
    waits until it does. A connection that keeps up needs no task and no queue.
    """

    __slots__ = ("_direct", "_send", "_writer")

    def __init__(
        self,
        limit: int,
        *,
        send: Callable[[T], Awaitable[None]],
        direct: Callable[[T], bool],
        overflow: Callable[[], None],
    ) -> None:
        super().__init__(limit, overflow)
        self._send = send
        self._direct = direct
        self._writer: asyncio.Task[None] | None = None

    def offer(self, item: T) -> None:
        if self.closed or (not self._queue and self._direct(item)):
            return
        if self._append(item) and self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def flush(self) -> None:
        if self._writer is not None:
            await asyncio.shield(self._writer)

    async def stop(self) -> None:
        await super().stop()
        await end(self._writer)

    async def _write(self) -> None:
        try:
            while self._queue:
                await self._send(self._pop())
        except (OSError, RuntimeError):
            self.close(drop=True)  # the connection is gone; its reader notices too
        finally:
            self._writer = None


class SocketOutbox(Bounded[bytes]):
    """For what is written to a transport, which tells when it is full and when it has room.

    Nothing waits as long as ``ready`` is true: then ``write`` may be called at once.
    """

    __slots__ = ("ready", "write")

    def __init__(self, limit: int, overflow: Callable[[], None]) -> None:
        super().__init__(limit, overflow)
        self.ready = False
        self.write: Callable[[bytes], None] = _unopened

    def open(self, write: Callable[[bytes], None]) -> None:
        """Begin to write."""
        self.write = write
        self.resume()

    def offer(self, item: bytes) -> None:
        if self.ready:
            self.write(item)
        elif not self.closed:
            self._append(item)

    def pause(self) -> None:
        """The transport is full: queue from now on."""
        self.ready = False

    def resume(self) -> None:
        """The transport has room: write what waits, until it is full again."""
        if self.closed:
            return
        self.ready = True
        while self._queue and self.ready:
            self.write(self._pop())

    async def flush(self) -> None:
        await self._until(0)

    def close(self, *, drop: bool) -> None:
        self.ready = False
        super().close(drop=drop)


def _unopened(item: bytes) -> None:
    raise RuntimeError("nothing is connected yet")
