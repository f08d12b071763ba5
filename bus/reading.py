"""Keeps FastStream's reader from asking again at once what Redis has just refused."""

from __future__ import annotations

from typing import Any

from redis.exceptions import RedisError, ResponseError


class ReadRefused(RedisError):
    """Redis takes no writes, and a group's read is one: NOREPLICAS, MISCONF, READONLY …"""


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
