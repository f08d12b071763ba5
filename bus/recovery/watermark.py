"""The time before which every group had processed every event, kept for the day Redis is lost.

It is advanced by checkpoints: the ends of all event streams are noted, and once every group
has got past them, so is the watermark past the time at which they were noted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bus import streams
from bus.documents import OUTBOX, RELAY_STATE, Database
from contracts.types import now

DOCUMENT = "recovery"
NEVER = "never begun"
"""The epoch before the first."""

Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """Where the streams ended when everything older than ``at`` had been published."""

    epoch: str
    at: datetime
    ends: Mapping[str, Position]


class Watermark:
    """Advances it. ``groups`` is every (stream, group) of events."""

    def __init__(self, database: Database, redis: Redis, groups: Sequence[tuple[str, str]]) -> None:
        self._database = database
        self._redis = redis
        self._groups = groups
        self._checkpoint: _Checkpoint | None = None

    async def state(self) -> dict[str, Any]:
        """What MongoDB knows: ``epoch``, and ``through``, the watermark."""
        states = self._database[RELAY_STATE]
        while (state := await states.find_one({"_id": DOCUMENT})) is None:
            first = {"epoch": NEVER, "through": now()}
            await states.update_one({"_id": DOCUMENT}, {"$setOnInsert": first}, upsert=True)
        return state

    async def epoch(self) -> str | None:
        """The epoch of Redis; None when it has none, or has lost it."""
        raw = await self._redis.get(streams.EPOCH)
        return raw.decode() if isinstance(raw, bytes) else None

    async def advance(self, epoch: str) -> None:
        """Look once how far everybody is in this epoch."""
        reached = self._checkpoint
        if reached is not None and reached.epoch == epoch:
            # The epoch is asked for last: if Redis lost its data before, it shows.
            if not await self._passed(reached) or await self.epoch() != epoch:
                return
            await self._database[RELAY_STATE].update_one(
                {"_id": DOCUMENT, "epoch": epoch}, {"$max": {"through": reached.at}}
            )
        self._checkpoint = await self._note(epoch)

    async def _note(self, epoch: str) -> _Checkpoint:
        at = now()
        oldest = await self._database[OUTBOX].find_one({"sent": None}, {"at": 1}, sort=[("at", 1)])
        if oldest is not None:
            at = min(at, oldest["at"])
        ends = {}
        for stream in {stream for stream, _ in self._groups}:
            ends[stream] = await self._end(stream)
        return _Checkpoint(epoch, at, ends)

    async def _end(self, stream: str) -> Position:
        try:
            info = await self._redis.xinfo_stream(stream)
        except ResponseError as error:
            if "no such key" in str(error).lower():
                return (0, 0)
            raise
        return position(info["last-generated-id"])

    async def _passed(self, checkpoint: _Checkpoint) -> bool:
        for stream, end in checkpoint.ends.items():
            try:
                found = {each["name"]: each for each in await self._redis.xinfo_groups(stream)}
            except ResponseError as error:
                if "no such key" in str(error).lower():
                    return False
                raise
            for name in [group.encode() for each, group in self._groups if each == stream]:
                group = found.get(name)
                if group is None or position(group["last-delivered-id"]) < end:
                    return False
                if group["pending"]:
                    oldest = (await self._redis.xpending(stream, name))["min"]
                    if oldest is not None and position(oldest) <= end:
                        return False
        return True


def position(id: bytes | str) -> Position:
    """The id of an entry, to be compared."""
    milliseconds, _, sequence = (id.decode() if isinstance(id, bytes) else id).partition("-")
    return int(milliseconds), int(sequence or 0)
