"""Puts events into the push streams, from which every notifier serves its sockets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bus import streams
from bus.feed.lost import ONCE_FOR
from bus.pipeline import Pipeline
from contracts.envelope import Envelope
from contracts.visibility import public_json
from handlers.notifier.routing import route

# A mark and its entry lie in one slot and are made by one script: never one without the other.
# The mark has the position, for the day on which the entry is lost (bus/feed/lost.py).
_PUSH_ONCE = """
local pushed, at = 0, 4
if redis.call('EXISTS', KEYS[2]) == 0 then
  local now = redis.call('TIME')
  redis.call('SET', KEYS[2], now[1] .. string.format('%06d', now[2]))
end
for each = 3, #KEYS do
  if redis.call('EXISTS', KEYS[each]) == 0 then
    local id = redis.call(
      'XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', unpack(ARGV, at, at + ARGV[3] - 1))
    redis.call('SET', KEYS[each], id, 'EX', ARGV[1])
    pushed = pushed + 1
  end
  at = at + ARGV[3]
end
return pushed
"""


class Pusher:
    """Routes events into push streams."""

    def __init__(self, pipeline: Pipeline, *, shards: int, length: int) -> None:
        self._pipeline = pipeline
        self._shards = shards
        self._length = length

    async def push(self, envelopes: Sequence[Envelope]) -> None:
        """Push events to all their audiences, in order; again within the hour does nothing.

        Raises redis.RedisError when they may not have arrived: push them again.
        """
        by_shard: dict[int, tuple[list[str], list[Any]]] = {}
        for envelope in envelopes:
            pushes = route(envelope, self._shards)
            if not pushes:
                continue
            event = public_json(envelope)
            at = int(envelope.time.timestamp() * 1000)
            for index, each in enumerate(pushes):
                marks, values = by_shard.setdefault(each.shard, ([], []))
                marks.append(streams.pushed(each.shard, f"{envelope.id}:{index}"))
                values += (
                    "to", " ".join(each.addresses), "type", envelope.type, "event", event,
                    "id", envelope.id, "at", at, "control", each.control,
                    "copies", len(pushes),
                )  # fmt: skip
        if not by_shard:
            return
        await self._pipeline.execute_all(
            [
                ("EVAL", _PUSH_ONCE, 2 + len(marks), streams.push(shard),
                 streams.pushed_since(shard), *marks,
                 ONCE_FOR, self._length, len(values) // len(marks), *values)
                for shard, (marks, values) in by_shard.items()
            ]
        )  # fmt: skip
