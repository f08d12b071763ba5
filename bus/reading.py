"""What our reading wants of FastStream: entries as they are, and patience with a Redis that refuses."""

from __future__ import annotations

from typing import Any

from faststream.redis.message import FAKE_CONSUMER, RedisBatchStreamMessage
from redis.exceptions import RedisError, ResponseError


class ReadRefused(RedisError):
    """Redis takes no writes, and a group's read is one: NOREPLICAS, MISCONF, READONLY …"""


async def as_read(message: Any) -> Any:
    """FastStream's parser decodes each entry's JSON; ours reads the raw entries instead."""
    return RedisBatchStreamMessage(
        raw_message=message, body=b"", headers={}, consumer=FAKE_CONSUMER, group=None
    )


async def pass_through(message: Any) -> Any:
    """What is no more decoded than it was parsed."""
    return message.raw_message


def be_patient(subscriber: Any) -> None:
    """Have a subscriber wait after any error.

    By itself it does not where Redis answers one: it begins anew at once, thousands of times
    a second, and keeps each beginning. A group that is gone stops it, as before.
    """
    read = subscriber._get_msgs

    async def read_patiently(*arguments: Any) -> None:
        try:
            await read(*arguments)
        except ResponseError as error:
            if "NOGROUP" in str(error):
                raise
            raise ReadRefused(str(error)) from error

    subscriber._get_msgs = read_patiently
