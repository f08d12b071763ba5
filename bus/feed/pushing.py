"""Puts events into the push streams, from which every notifier serves its sockets.

Who publishes an event pushes it in the same round trip. The notifiers' group sees every event
too, and pushes what somebody who died in between, or who publishes by other means, did not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bus import streams
from bus.feed.lost import MARGIN, ONCE_FOR
from bus.logged import published_at
from bus.pipeline import Command, Pipeline
from contracts.envelope import Envelope
from contracts.types import now
from contracts.visibility import public_json

KNOWN_FOR = timedelta(seconds=ONCE_FOR - 2 * MARGIN)
"""For how long after it was published a mark surely tells that an event was pushed."""
TOGETHER = 128
"""Entries that one script adds at most."""

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


@dataclass(frozen=True, slots=True)
class Push:
    """What goes into one push stream about one event."""

    shard: int
    addresses: tuple[str, ...]
    """``{organization or user}/{channel}``; without spaces."""
    control: str = ""
    """What a hub does after delivering (handlers/notifier/revocation.py): a verb and its objects."""


Route = Callable[[Envelope, int], Sequence[Push]]
"""To whom an event goes, with so many push streams (handlers/routing.py)."""


class Pushes:
    """Makes the commands that push events. ``length`` is entries that a push stream keeps, about."""

    def __init__(self, route: Route, *, shards: int, length: int) -> None:
        self.shards = shards
        self._route = route
        self._length = length

    def commands(self, envelopes: Sequence[Envelope]) -> list[Command]:
        """Push events to all their audiences, in order; again within the hour does nothing."""
        commands: list[Command] = []
        for first in range(0, len(envelopes), TOGETHER):
            commands += self._of_some(envelopes[first : first + TOGETHER])
        return commands

    def marks(self, envelope: Envelope) -> list[str]:
        """The keys that tell that an event was pushed, one for each push."""
        pushes = self._route(envelope, self.shards)
        return [_mark(envelope, index, each) for index, each in enumerate(pushes)]

    def _of_some(self, envelopes: Sequence[Envelope]) -> list[Command]:
        by_shard: dict[int, tuple[list[str], list[Any]]] = {}
        for envelope in envelopes:
            pushes = self._route(envelope, self.shards)
            if not pushes:
                continue
            event = public_json(envelope)
            at = int(envelope.time.timestamp() * 1000)
            for index, each in enumerate(pushes):
                marks, values = by_shard.setdefault(each.shard, ([], []))
                marks.append(_mark(envelope, index, each))
                values += (
                    "to", " ".join(each.addresses), "type", envelope.type, "event", event,
                    "id", envelope.id, "at", at, "control", each.control,
                    "copies", len(pushes),
                )  # fmt: skip
        return [
            ("EVAL", _PUSH_ONCE, 2 + len(marks), streams.push(shard),
             streams.pushed_since(shard), *marks,
             ONCE_FOR, self._length, len(values) // len(marks), *values)
            for shard, (marks, values) in by_shard.items()
        ]  # fmt: skip


def _mark(envelope: Envelope, index: int, push: Push) -> str:
    return streams.pushed(push.shard, f"{envelope.id}:{index}")


class Pusher:
    """Pushes events that are seen, unless who published them has done so."""

    def __init__(self, pipeline: Pipeline, pushes: Pushes) -> None:
        self._pipeline = pipeline
        self._pushes = pushes

    async def push(self, envelopes: Sequence[Envelope]) -> None:
        """Push events to all their audiences, in order, unless they are there.

        After a long outage of all notifiers no mark may tell any more that an event was pushed:
        what is so old is left to who published it, and to the relay. Raises redis.RedisError
        when they may not have arrived: push them again.
        """
        since = now() - KNOWN_FOR
        await self.push_again([each for each in envelopes if published_at(each) > since])

    async def push_again(self, envelopes: Sequence[Envelope]) -> None:
        """Push events however old they are; again within the hour does nothing. Raises as ``push``."""
        marks = [(mark, each) for each in envelopes for mark in self._pushes.marks(each)]
        if not marks:
            return
        found = await self._pipeline.execute_all([("EXISTS", mark) for mark, _ in marks])
        missing = {
            each.id: each for (_, each), there in zip(marks, found, strict=True) if not there
        }
        if missing:
            await self._pipeline.execute_all(self._pushes.commands(list(missing.values())))
