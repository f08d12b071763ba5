"""What happens to an entry between reading and forgetting it.

Nothing is acknowledged before it is committed. An entry in hand is kept alive by a
heartbeat; one whose consumer died is taken over by another after ``claim_after``; one that
must wait is parked by setting its idle time, so that it becomes claimable when it is due.
Redis keeps the number of attempts, so a crash does not start the count anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.asyncio import Redis

from bus import streams
from bus.batching import Batcher
from bus.broker import FIELD
from bus.pipeline import Pipeline
from contracts.types import now, rfc3339

log = structlog.get_logger(__name__)

# A client that has lost the reply asks again.
_BURY = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3))
return redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
"""


ACK_WITHIN = 0.05
"""Seconds in which what was observed is acknowledged. Each XACK is a round trip, and where every
write is fsynced it holds up all others."""
PARKED = "parked"
"""Consumer of entries that wait for their next attempt: whoever had them is done with them."""
SUSPICIOUS = 2
"""Deliveries after which an entry whose consumer died may be what killed it."""

_CARRIED = frozenset(
    (b"replay", b"reaction", b"effects", b"redrive", b"edits", b"original", b"original_data")
)
"""Fields of an entry that its dead letter has too; see replay/lane.py and dead_letters/letter.py."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivery of one stream entry; ``again`` when it is not the first."""

    id: str
    fields: dict[bytes, bytes]
    attempt: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """An entry that another consumer has in hand, or had when it died; ``idle`` in seconds."""

    id: str
    idle: float
    deliveries: int


@dataclass(slots=True)
class Grave:
    """Why a message is dead-lettered."""

    reason: str
    handler: str
    attempts: int
    traceback: str = ""


@dataclass(slots=True)
class Delivery:
    """The bookkeeping of one consumer in one group of one stream."""

    redis: Redis
    pipeline: Pipeline
    stream: str
    group: str
    consumer: str
    claim_after: float
    in_hand: dict[str, float] = field(default_factory=dict)
    awaited: bool = False
    """Whether others may wait for what is acknowledged here, to go on in order."""
    _cursor: str = "-"
    _suspect: str = ""
    _acks: Batcher[str, None] = field(init=False)
    _soon: list[str] = field(default_factory=list)
    _acknowledging: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._acks = Batcher(self._ack_together)

    def take(self, id: str) -> bool:
        """Note that an entry is being worked on. False when it already is, by this process."""
        if id in self.in_hand:
            return False
        self.in_hand[id] = time.monotonic()
        return True

    async def ack(self, id: str) -> None:
        """Forget an entry: what it asked for is durable."""
        await self._acks.find(id)

    async def ack_all(self, ids: Sequence[str]) -> None:
        """Forget several at once."""
        if ids:
            await self.pipeline.execute("XACK", self.stream, self.group, *ids)
        for id in ids:
            self.in_hand.pop(id, None)

    def ack_soon(self, ids: Sequence[str]) -> None:
        """Forget several within ``ACK_WITHIN``, together with what comes until then.

        For what bears repetition: where they cannot be forgotten they are delivered again.
        """
        self._soon += ids
        if self._acknowledging is None and ids:
            self._acknowledging = asyncio.create_task(self._ack_later(), context=Context())

    async def settle(self) -> None:
        """Wait until nothing is to be acknowledged soon."""
        if self._acknowledging is not None:
            await self._acknowledging

    async def _ack_later(self) -> None:
        while self._soon:
            await asyncio.sleep(0 if self.awaited else ACK_WITHIN)
            ids, self._soon = self._soon, []
            try:
                await self.ack_all(ids)
            except Exception as error:
                log.warning("not_acknowledged", stream=self.stream, reason=str(error)[:200])
                for id in ids:
                    self.in_hand.pop(id, None)
        self._acknowledging = None

    async def _ack_together(self, ids: Sequence[str]) -> dict[str, None]:
        await self.ack_all(ids)
        return {}

    async def park(self, entry: Entry, delay: float, *, counted: bool) -> None:
        """Have the entry delivered again in ``delay`` seconds (at most ``claim_after``).

        ``counted`` says whether this delivery was an attempt.
        """
        self.in_hand.pop(entry.id, None)  # first, or a heartbeat could take it back
        wait_ms = int(min(delay, self.claim_after) * 1000)
        await self.pipeline.execute(
            "XCLAIM", self.stream, self.group, PARKED, 0, entry.id,
            "IDLE", max(0, int(self.claim_after * 1000) - wait_ms),
            "RETRYCOUNT", entry.attempt if counted else max(0, entry.attempt - 1),
            "JUSTID",
        )  # fmt: skip

    async def beat(self, older_than: float) -> None:
        """Show that entries in hand for longer than ``older_than`` seconds are alive."""
        limit = time.monotonic() - older_than
        ids = [id for id, since in self.in_hand.items() if since < limit]
        if ids:
            await self.pipeline.execute(
                "XCLAIM", self.stream, self.group, self.consumer, 0, *ids, "IDLE", 0, "JUSTID"
            )

    async def reclaim(self, count: int) -> list[Entry]:
        """Take over up to ``count`` entries that nobody has shown alive for ``claim_after``.

        One that has gone down with its process repeatedly is suspected to be the cause. Of
        such there is never more than one in hand, so that they are not counted together, and
        buried together, for what one of them does.
        """
        if count <= 0:
            return []
        wanted = min(count, 100)
        rows = await self.pipeline.execute(
            "XPENDING", self.stream, self.group,
            "IDLE", int(self.claim_after * 1000), self._cursor, "+", wanted,
        )  # fmt: skip
        self._cursor = f"({_text(rows[-1][0])}" if len(rows) == wanted else "-"
        attempts: dict[str, int] = {}
        for raw, owner, _, deliveries in rows:
            id = _text(raw)
            if id in self.in_hand:
                continue
            if deliveries >= SUSPICIOUS and _text(owner) != PARKED:
                if self._suspect in attempts or self._suspect in self.in_hand:
                    continue
                self._suspect = id
            attempts[id] = int(deliveries) + 1
        return await self._claim(attempts) if attempts else []

    async def take_over(self, held: Sequence[Held]) -> list[Entry]:
        """Take in hand those at the head that nobody has shown alive for ``claim_after``.

        One that has gone down with its process repeatedly is taken alone, see ``reclaim``.
        """
        dead: dict[str, int] = {}
        for each in held:
            suspect = each.deliveries >= SUSPICIOUS
            if each.idle < self.claim_after or (suspect and dead):
                break
            dead[each.id] = each.deliveries + 1
            if suspect:
                break
        claimed = await self._claim(dead) if dead else []
        return [entry for entry in claimed if self.take(entry.id)]

    async def _claim(self, attempts: dict[str, int]) -> list[Entry]:
        reply = await self.pipeline.execute(
            "XCLAIM", self.stream, self.group, self.consumer,
            int(self.claim_after * 1000), *attempts,
        )  # fmt: skip
        claimed = {_text(id): _fields(raw) for id, raw in reply}
        await self._report_lost([id for id in attempts if id not in claimed])
        return [Entry(id, fields, attempts[id], again=True) for id, fields in claimed.items()]

    async def _report_lost(self, ids: Sequence[str]) -> None:
        """Another may have been quicker; or the entry was trimmed, which must not happen."""
        there = await asyncio.gather(
            *(self.pipeline.execute("XRANGE", self.stream, id, id) for id in ids)
        )
        lost = [id for id, found in zip(ids, there, strict=True) if not found]
        if lost:
            log.error("entries_trimmed_while_pending", stream=self.stream, ids=lost)

    async def bury(self, entry: Entry, grave: Grave) -> None:
        """Move the entry to the dead-letter stream of the group's domain, and acknowledge it."""
        letter: dict[str, str | bytes] = {
            FIELD: entry.fields.get(FIELD.encode(), b""),
            "stream": self.stream,
            "entry": entry.id,
            "group": self.group,
            "reason": grave.reason,
            "handler": grave.handler,
            "attempts": str(grave.attempts),
            "traceback": grave.traceback[-8000:],
            "at": rfc3339(now()),
        }
        # What a replay says about the entry stays with it.
        letter.update({_text(n): value for n, value in entry.fields.items() if n in _CARRIED})
        if FIELD.encode() not in entry.fields:
            letter["raw"] = repr(entry.fields)[:8000]
        arguments = [part for pair in letter.items() for part in pair]
        target = streams.dead(self.group)
        if streams.domain_of(self.stream) == self.group:
            # One slot, so one step: a crash can neither lose the letter nor write it twice.
            await self.redis.eval(_BURY, 2, self.stream, target, self.group, entry.id, *arguments)
        else:
            await self.pipeline.execute("XADD", target, "*", *arguments)
            await self.pipeline.execute("XACK", self.stream, self.group, entry.id)
        self.in_hand.pop(entry.id, None)

    async def hand_back(self, entries: Iterable[Entry]) -> None:
        """Let others have entries at once that were read but not begun."""
        await asyncio.gather(*(self.park(entry, 0.0, counted=False) for entry in entries))

    async def unheard(self) -> list[Entry]:
        """What Redis has delivered to this consumer, and nobody has taken in hand."""
        rows = await self.pipeline.execute(
            "XPENDING", self.stream, self.group, "-", "+", 1000, self.consumer
        )
        return [
            Entry(_text(id), {}, attempt=int(deliveries))
            for id, _, _, deliveries in rows
            if _text(id) not in self.in_hand
        ]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _fields(raw: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(raw[::2], raw[1::2], strict=True))
