"""Deadlines of many short things at once, kept by one timer.

``asyncio.timeout`` arms and disarms a timer of its own each time. Where thousands of things a
second end long before their deadline, that costs more than looking every now and then which
of them have not.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

TICK = 0.1
"""Seconds between looks, and so by how much a deadline may be noticed late."""


class Within:
    """``with Within(seconds):`` cancels what the task awaits inside, and raises TimeoutError.

    ``None`` is no deadline. To be used in a task; may be nested, and entered once.
    """

    __slots__ = ("_cancelling", "_due", "_expired", "_seconds", "_task", "_watch")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._expired = False
        self._watch: _Watch | None = None

    def __enter__(self) -> None:
        if self._seconds is None:
            return
        task = asyncio.current_task()
        assert task is not None, "a deadline needs a task"
        self._task = task
        self._cancelling = task.cancelling()
        self._watch = watch = _watch_of(asyncio.get_running_loop())
        self._due = watch.loop.time() + self._seconds
        watch.add(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watch is None:
            return
        self._watch.running.pop(self, None)
        if (
            self._expired
            and self._task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error

    def expire_at(self, now: float) -> bool:
        """Cancel the task if the deadline has passed by ``now``; whether it has."""
        if self._due > now:
            return False
        self._expired = True
        self._task.cancel()
        return True


class _Watch:
    """The deadlines of one event loop. Its timer runs only while there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.running: dict[Within, None] = {}
        self._ticking = False

    def add(self, deadline: Within) -> None:
        self.running[deadline] = None
        if not self._ticking:
            self._ticking = True
            self.loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        now = self.loop.time()
        for deadline in [each for each in self.running if each.expire_at(now)]:
            del self.running[deadline]
        self._ticking = bool(self.running)
        if self._ticking:
            self.loop.call_later(TICK, self._tick)


_current: _Watch | None = None


def _watch_of(loop: asyncio.AbstractEventLoop) -> _Watch:
    global _current
    if _current is None or _current.loop is not loop:
        # One loop at a time is all a process of ours has; another gets a watch of its own.
        _current = _Watch(loop)
    return _current
