"""Commands of concurrent tasks share round trips.

Everything asked for while one pipeline is under way goes out together in the next one:
under load a hundred XADDs cost one round trip and one fsync, at rest each goes at once.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

LIMIT = 512
"""Commands sent in one round trip at most."""


class Pipeline:
    """Executes single Redis commands, coalesced."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queue: list[tuple[tuple[Any, ...], dict[str, Any], asyncio.Future[Any]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def execute(self, *command: Any, **options: Any) -> Any:
        """The reply to one command. Raises what Redis answers, or redis.ConnectionError.

        ``options`` go to redis-py's parser of the reply.
        After a ConnectionError the command may or may not have been carried out.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append((command, options, future))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())
        return await future

    async def _send(self) -> None:
        while self._queue:
            batch, self._queue = self._queue[:LIMIT], self._queue[LIMIT:]
            try:
                async with self._redis.pipeline(transaction=False) as pipe:
                    for command, options, _ in batch:
                        pipe.execute_command(*command, **options)
                    replies = await pipe.execute(raise_on_error=False)
            except BaseException as error:
                for _, _, future in batch:
                    if not future.done():
                        future.set_exception(
                            error
                            if isinstance(error, Exception)
                            else ConnectionError("the process is stopping")
                        )
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, _, future), reply in zip(batch, replies, strict=True):
                if future.done():
                    continue
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)

    async def close(self) -> None:
        """Wait until everything asked for has been sent."""
        if self._sender is not None:
            await asyncio.gather(self._sender, return_exceptions=True)
