"""Reads of concurrent tasks share a query.

Everything asked for while one query is under way goes into the next one. A query is begun
after whoever joins it has asked, so nobody is given an answer older than their question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from bus.gathering import gather_from

LIMIT = 512
"""Keys after which nobody else is waited for."""

K = TypeVar("K")
V = TypeVar("V")


class Batcher(Generic[K, V]):
    """Looks keys up together. ``fetch`` maps the keys it finds to their values."""

    def __init__(self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._fetch = fetch
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def find(self, key: K) -> V | None:
        """The value of a key; None when there is none. Raises what ``fetch`` raises."""
        # A future each, because others may wait for the same key and stop waiting.
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        # Of nobody's context: it asks for all of them.
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), context=Context())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            await gather_from(self._waiting, LIMIT)
            batch, self._waiting = self._waiting, {}
            try:
                found = await self._fetch(list(batch))
            except BaseException as error:
                for futures in batch.values():
                    for future in futures:
                        if not future.done():
                            future.set_exception(
                                error
                                if isinstance(error, Exception)
                                else ConnectionError("stopping")
                            )
                if not isinstance(error, Exception):
                    raise
            else:
                for key, futures in batch.items():
                    value = found.get(key)
                    for future in futures:
                        if not future.done():
                            future.set_result(value)
