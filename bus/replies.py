"""Waiting for the reply to one command.

One gateway has one channel; futures are found by command id. Pub/sub may lose a message
when the connection breaks, so whoever waits also looks at the outcome in MongoDB before
giving up: a reply is a hint that comes quickly, the inbox is the truth.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from typing import Any, Literal

import structlog
from pydantic import Field
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bus import streams
from bus.tasks import end
from contracts.base import Contract
from contracts.errors import Failure

log = structlog.get_logger(__name__)


class Outcome(Contract):
    """How a command ended. Secrets in ``result`` are sealed."""

    command_id: str
    status: Literal["succeeded", "failed"]
    result: dict[str, Any] | None = None
    failure: Failure | None = None
    actor: str | None = Field(None, description="Who sent it.")


class Replies:
    """Hears the replies of one gateway."""

    def __init__(self, redis: Redis) -> None:
        self.channel = streams.replies(secrets.token_hex(8))
        self._redis = redis
        self._waiting: dict[str, list[asyncio.Future[Outcome]]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def start(self) -> None:
        """Subscribe; returns when replies can be heard."""
        self._listener = asyncio.create_task(self._listen(), name="replies")
        await asyncio.wait_for(self._listening.wait(), 15)

    async def close(self) -> None:
        """Stop listening; those who still wait get a TimeoutError from their own deadline."""
        await end(self._listener)

    @contextlib.contextmanager
    def expect(self, command: str) -> Iterator[asyncio.Future[Outcome]]:
        """A future of the command's outcome; open it before the command is sent.

        Several may wait for one command: requests with the same Idempotency-Key do.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(command, [])
        waiting.append(future)
        try:
            yield future
        finally:
            waiting.remove(future)
            if not waiting:
                del self._waiting[command]

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self.channel)
                    while True:
                        message = await pubsub.get_message(
                            ignore_subscribe_messages=False, timeout=5.0
                        )
                        if message is None:
                            continue
                        if message["type"] == "subscribe":
                            self._listening.set()
                        elif message["type"] == "message":
                            self._hear(message["data"])
            except (RedisError, OSError) as error:
                log.warning("replies_interrupted", error=str(error))
                await asyncio.sleep(0.2)

    def _hear(self, body: bytes) -> None:
        for line in body.split(b"\n"):
            try:
                outcome = Outcome.model_validate_json(line)
            except ValueError:
                log.warning("reply_unreadable", size=len(line))
                continue
            for future in self._waiting.get(outcome.command_id, []):
                if not future.done():
                    future.set_result(outcome)
