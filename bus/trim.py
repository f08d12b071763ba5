"""Keeps streams bounded without dropping what a group has not acknowledged."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import ResponseError


def _order(id: str) -> tuple[int, int]:
    milliseconds, _, sequence = id.partition("-")
    return int(milliseconds), int(sequence or 0)


async def trim(redis: Redis, stream: str) -> int:
    """Drop the entries below the oldest one that any group still needs; how many went.

    A group needs what it has not read and what it has read but not acknowledged. A stream
    without groups is left alone. MAXLEN would drop entries nobody has processed.
    """
    try:
        groups = await redis.xinfo_groups(stream)
    except ResponseError as error:
        if "no such key" in str(error).lower():
            return 0
        raise
    needed: list[str] = []
    for group in groups:
        if group["pending"]:
            summary = await redis.xpending(stream, group["name"])
            if summary["min"] is not None:  # all of them may have been acknowledged since
                needed.append(_text(summary["min"]))
        needed.append(_text(group["last-delivered-id"]))
    if not needed:
        return 0
    oldest = min(needed, key=_order)
    return int(await redis.xtrim(stream, minid=oldest, approximate=True))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
