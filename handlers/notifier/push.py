"""Puts events into the push streams, from which every notifier serves its sockets."""

from __future__ import annotations

import asyncio

from bus import streams
from bus.pipeline import Pipeline
from contracts.envelope import Envelope
from contracts.visibility import public_json
from handlers.notifier.routing import route

ONCE_FOR = 3600
"""Seconds in which an event that is delivered again is not pushed again."""

# The mark and the entry lie in one slot and are made by one script: never one without the other.
_PUSH_ONCE = """
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then return false end
return redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', unpack(ARGV, 3))
"""


class Pusher:
    """Routes events into push streams."""

    def __init__(self, pipeline: Pipeline, *, shards: int, length: int) -> None:
        self._pipeline = pipeline
        self._shards = shards
        self._length = length

    async def push(self, envelope: Envelope) -> None:
        """Push an event to all its audiences; pushing it again within the hour does nothing.

        Raises redis.RedisError when it may not have arrived: push it again.
        """
        pushes = route(envelope, self._shards)
        if not pushes:
            return
        event = public_json(envelope)
        at = int(envelope.time.timestamp() * 1000)
        await asyncio.gather(
            *(
                self._pipeline.execute(
                    "EVAL", _PUSH_ONCE, 2,
                    streams.pushed(each.shard, f"{envelope.id}:{index}"),
                    streams.push(each.shard),
                    ONCE_FOR, self._length,
                    "to", " ".join(each.addresses), "type", envelope.type, "event", event,
                    "id", envelope.id, "at", at, "control", each.control,
                    "copies", len(pushes),
                )
                for index, each in enumerate(pushes)
            )
        )  # fmt: skip
