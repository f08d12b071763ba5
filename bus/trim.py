"""Keeps streams bounded without dropping what a group has not acknowledged."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

FORGET_AFTER = 3600.0
"""Seconds of silence after which a consumer is taken for one of a process that is no more."""

# In one step: a consumer that has an entry in hand must not be forgotten with it.
_FORGET = """
local gone = 0
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
  if consumer['pending'] == 0 and consumer['idle'] >= tonumber(ARGV[2])
    and (not ARGV[3] or consumer['name'] == ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
    gone = gone + 1
  end
end
return gone
"""


def _order(id: str) -> tuple[int, int]:
    milliseconds, _, sequence = id.partition("-")
    return int(milliseconds), int(sequence or 0)


async def trim(redis: Redis, stream: str) -> int:
    """Drop the entries below the oldest one that any group still needs; how many went.

    A group needs what it has not read and what it has read but not acknowledged. A stream
    without groups is left alone. MAXLEN would drop entries nobody has processed.
    """
    groups = await _groups(redis, stream)
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


async def forget_consumers(redis: Redis, stream: str, *, silent: float = FORGET_AFTER) -> int:
    """Forget consumers that have nothing and were silent for so many seconds; how many.

    Every process has consumers of its own, and Redis would remember all there ever were.
    """
    return sum(
        [
            int(await redis.eval(_FORGET, 1, stream, group["name"], str(silent * 1000)))
            for group in await _groups(redis, stream)
            if group["consumers"]
        ]
    )


async def forget_consumer(redis: Redis, stream: str, group: str, consumer: str) -> bool:
    """Forget a consumer whose process is leaving. False when it has something, or is not known."""
    return bool(await redis.eval(_FORGET, 1, stream, group, "0", consumer))


async def _groups(redis: Redis, stream: str) -> list[dict[str, Any]]:
    try:
        return list(await redis.xinfo_groups(stream))
    except ResponseError as error:
        if "no such key" in str(error).lower():
            return []
        raise


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
