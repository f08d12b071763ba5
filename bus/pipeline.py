"""Commands of concurrent tasks share round trips.

Everything asked for while one pipeline is under way goes out together in the next one:
under load a hundred XADDs cost one round trip and one fsync, at rest each goes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context
from typing import Any

from redis.asyncio import Redis

from bus.gathering import gather_from

LIMIT = 512
"""Requests that share one round trip at most."""
LATER = 0.01
"""Seconds that what is in no hurry waits for others to go along with."""


Command = tuple[Any, ...]
_Request = tuple[list[Command], "asyncio.Future[list[Any]]"]


class Pipeline:
    """Executes Redis commands, coalesced."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._encode = redis.get_encoder().encode  # type: ignore[no-untyped-call]
        self._queue: list[_Request] = []
        self._unhurried: list[_Request] = []
        self._sender: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def execute(self, name: str, *arguments: Any) -> Any:
        """The reply to one command, raw. Raises what Redis answers, or redis.ConnectionError.

        After a ConnectionError the command may or may not have been carried out.
        """
        [reply] = await self.execute_all([(name, *arguments)])
        return reply

    async def execute_all(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to commands that are sent together, in order; raises as ``execute`` does.

        All of them are carried out, whichever of them is answered with an error.
        """
        request = self._request(commands)
        self._queue.append(request)
        self._begin()
        return await request[1]

    async def execute_later(self, name: str, *arguments: Any) -> Any:
        """As ``execute``, for what nobody waits for: it is sent ahead of the next that is asked
        for, and soon in any case."""
        request = self._request([(name, *arguments)])
        self._unhurried.append(request)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LATER, self._hurry)
        [reply] = await request[1]
        return reply

    def _request(self, commands: Sequence[Command]) -> _Request:
        # What cannot be sent fails here, and not all that would share its round trip.
        encoded = [(name, *map(self._encode, arguments)) for name, *arguments in commands]
        return encoded, asyncio.get_running_loop().create_future()

    def _hurry(self) -> None:
        self._queue[:0], self._unhurried = self._unhurried, []
        self._timer = None
        if self._queue:
            self._begin()

    def _begin(self) -> None:
        if self._sender is None or self._sender.done():
            # Of no message's context: it sends for all of them.
            self._sender = asyncio.create_task(self._send(), context=Context())

    async def _send(self) -> None:
        while self._queue:
            await gather_from(self._queue, LIMIT)
            if self._unhurried:
                self._queue[:0], self._unhurried = self._unhurried, []
            batch, self._queue = self._queue[:LIMIT], self._queue[LIMIT:]
            try:
                async with self._redis.pipeline(transaction=False) as pipe:
                    # A parser that stumbles over one reply would lose those after it.
                    pipe.response_callbacks = {}
                    for commands, _ in batch:
                        for command in commands:
                            pipe.execute_command(*command)
                    replies = iter(await pipe.execute(raise_on_error=False))
            except BaseException as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(
                            error
                            if isinstance(error, Exception)
                            else ConnectionError("the process is stopping")
                        )
                if not isinstance(error, Exception):
                    raise
                continue
            for commands, future in batch:
                own = [next(replies) for _ in commands]
                if future.done():
                    continue
                refused = next((reply for reply in own if isinstance(reply, Exception)), None)
                if refused is not None:
                    future.set_exception(refused)
                else:
                    future.set_result(own)

    async def close(self) -> None:
        """Wait until everything asked for has been sent."""
        if self._timer is not None:
            self._timer.cancel()
            self._hurry()
        if self._sender is not None:
            await asyncio.gather(self._sender, return_exceptions=True)
