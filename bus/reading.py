"""How our consumers read: FastStream keeps the readers alive, what they read goes straight to us.

By itself it takes each message through parser, decoder, middlewares and contexts and copies its
declaration several times a read, which costs more than reading does; and it begins anew at
once, thousands of times a second, where Redis answers an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from faststream import AckPolicy
from faststream.redis import RedisBroker, StreamSub
from redis.exceptions import RedisError, ResponseError

log = structlog.get_logger(__name__)

READ_FOR = 1.0
"""Seconds a read waits for something to come."""

Raw = Sequence[tuple[bytes, dict[bytes, bytes]]]
Receive = Callable[[Raw], Awaitable[None]]
"""Takes entries, ids and fields, as they were read together. The next are read when it is done."""


class ReadRefused(RedisError):
    """Redis takes no writes, and a group's read is one: NOREPLICAS, MISCONF, READONLY …"""


def reader(
    broker: RedisBroker,
    stream: str,
    group: str,
    consumer: str,
    count: int,
    receive: Receive,
    *,
    linger: float = 0.0,
) -> Any:
    """A subscriber that reads up to ``count`` new entries at a time, once the broker is started.

    It waits ``linger`` seconds after a read that was not full, so that the next finds more. A
    group that is gone stops it; other errors it logs, and waits before it reads again.
    """
    subscriber: Any = broker.subscriber(
        stream=StreamSub(
            stream,
            group=group,
            consumer=consumer,
            batch=True,
            max_records=count,
            polling_interval=int(READ_FOR * 1000),
            last_id=">",
        ),
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
        title=f"{group} reads {stream}",
    )

    async def read(*_: Any) -> None:
        try:
            reply = await subscriber._client.xreadgroup(
                group, consumer, {stream: ">"}, count=count, block=int(READ_FOR * 1000)
            )
        except ResponseError as error:
            if "NOGROUP" in str(error):
                raise
            raise ReadRefused(str(error)) from error
        for _, entries in reply or ():
            try:
                await receive(entries)
            except Exception:
                # They stay pending, and are claimed again.
                log.exception("not_received", stream=stream, entries=len(entries))
            if linger and len(entries) < count:
                await asyncio.sleep(linger)

    subscriber(receive)  # without a handler FastStream would not read at all
    subscriber._get_msgs = read
    return subscriber
