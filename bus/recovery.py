"""Makes good that Redis lost its data: FLUSHALL, or an empty server in place of the old one.

Redis has an epoch that MongoDB knows too; where they differ, Redis is not what it was. Then
streams and groups are made again, and what was published but not handled by everybody is
published again: events from the log, commands from the outbox. The log is read from a
watermark on, before which every group had processed everything. It is advanced by
checkpoints: the ends of all streams are noted, and once every group has got past them, so is
the watermark past the time at which they were noted.

Consumers skip what they have handled, so it may be broken off anywhere and begun again, by
any relay. One at a time does it, under a lock in Redis; the lock is lost with the data if
Redis loses them once more meanwhile, and then it is begun anew.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from prometheus_client import Counter
from redis.exceptions import ResponseError

from bus import streams
from bus.broker import ensure_groups
from bus.committer import logged_event
from bus.documents import EVENTS, INBOX, INBOX_DAYS, OUTBOX, RELAY_STATE, Database
from bus.publisher import Publisher
from bus.relay import unhandled
from bus.replay_lane import Redrive, feed
from bus.unit_of_work import inbox_key
from contracts.envelope import Envelope
from contracts.types import now

log = structlog.get_logger(__name__)

RECOVERED = Counter("grid8_recovered_total", "Messages published again because Redis lost them")
PAGE = 500
LEASE = 15.0
"""Seconds after which another relay goes on where one died."""
SHOWN_FOR = timedelta(hours=1)
"""How far back events are given again to groups that only observe."""

_DOCUMENT = "recovery"
_NEVER = "never begun"
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_FINISH = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
"""


@dataclass(frozen=True, slots=True)
class Readers:
    """Who reads what: every (stream, group), and the groups that need an event.

    ``reacting`` names the groups by type, which keep an inbox; ``observing`` those that see
    every event of a domain, and keep none.
    """

    events: Sequence[tuple[str, str]]
    commands: Sequence[tuple[str, str]]
    reacting: Mapping[str, Sequence[str]]
    observing: Mapping[str, Sequence[str]]


Position = tuple[int, int]


def position(id: bytes | str) -> Position:
    """The id of an entry, to be compared."""
    milliseconds, _, sequence = (id.decode() if isinstance(id, bytes) else id).partition("-")
    return int(milliseconds), int(sequence or 0)


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """Where the streams ended when everything older than ``at`` had been published."""

    epoch: str
    at: datetime
    ends: Mapping[str, Position]


class _Interrupted(Exception):
    """The lock is gone: another relay has it, or Redis lost its data again."""


class Recovery:
    """One relay's watch over the epoch. ``margin`` is how many seconds before its commit an
    event may have been staged, differences between clocks included."""

    def __init__(
        self, database: Database, publisher: Publisher, readers: Readers, *, margin: float
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._redis = publisher.redis
        self._readers = readers
        self._margin = timedelta(seconds=margin)
        self._checkpoint: _Checkpoint | None = None

    async def tick(self) -> bool:
        """Make a loss good, or else advance the watermark. Whether there was a loss.

        Raises redis.RedisError or PyMongoError; call it again.
        """
        state = await self._state()
        if await self._epoch() == state["epoch"]:
            await self._advance(state["epoch"])
            return False
        return await self._recover()

    async def _state(self) -> dict[str, Any]:
        states = self._database[RELAY_STATE]
        while (state := await states.find_one({"_id": _DOCUMENT})) is None:
            first = {"epoch": _NEVER, "through": now()}
            await states.update_one({"_id": _DOCUMENT}, {"$setOnInsert": first}, upsert=True)
        return state

    async def _epoch(self) -> str | None:
        raw = await self._redis.get(streams.EPOCH)
        return raw.decode() if isinstance(raw, bytes) else None

    # The watermark

    async def _advance(self, epoch: str) -> None:
        reached = self._checkpoint
        if reached is not None and reached.epoch == epoch:
            if not await self._passed(reached):
                return
            # Asked last: had Redis lost its data before the groups were looked at, it shows.
            if await self._epoch() != epoch:
                return
            await self._database[RELAY_STATE].update_one(
                {"_id": _DOCUMENT, "epoch": epoch}, {"$max": {"through": reached.at}}
            )
        self._checkpoint = await self._note(epoch)

    async def _note(self, epoch: str) -> _Checkpoint:
        at = now()
        oldest = await self._database[OUTBOX].find_one({"sent": None}, {"at": 1}, sort=[("at", 1)])
        if oldest is not None:
            at = min(at, oldest["at"])
        ends = {}
        for stream in {stream for stream, _ in self._readers.events}:
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
        """Whether every group has processed every stream up to where it ended then."""
        for stream in checkpoint.ends:
            try:
                found = {
                    group["name"].decode(): group
                    for group in await self._redis.xinfo_groups(stream)
                }
            except ResponseError as error:
                if "no such key" in str(error).lower():
                    return False
                raise
            for name in [group for each, group in self._readers.events if each == stream]:
                group = found.get(name)
                if group is None or position(group["last-delivered-id"]) < checkpoint.ends[stream]:
                    return False
                if group["pending"]:
                    oldest = (await self._redis.xpending(stream, name))["min"]
                    if oldest is not None and position(oldest) <= checkpoint.ends[stream]:
                        return False
        return True

    # The loss

    async def _recover(self) -> bool:
        attempt = secrets.token_hex(8)
        lease = int(LEASE * 1000)
        if not await self._redis.set(streams.RECOVERY, attempt, nx=True, px=lease):
            return False  # another relay is at it
        state = await self._state()
        if await self._epoch() == state["epoch"]:
            await self._redis.delete(streams.RECOVERY)
            return False
        await ensure_groups(self._redis, [*self._readers.commands, *self._readers.events])
        since = max(state["through"] - self._margin, now() - timedelta(days=INBOX_DAYS - 1))
        if state["epoch"] != _NEVER:
            log.error("redis_lost_its_data", publishing_since=since.isoformat())
        try:
            events = await self._publish_events(attempt, since)
            commands = await self._publish_commands(attempt)
            # The other way round, a crash between the two would go unnoticed.
            await self._database[RELAY_STATE].update_one(
                {"_id": _DOCUMENT}, {"$set": {"epoch": attempt}}
            )
            keys = (streams.RECOVERY, streams.EPOCH)
            if not await self._redis.eval(_FINISH, len(keys), *keys, attempt):
                raise _Interrupted
        except _Interrupted:
            log.warning("recovery_interrupted")
            return True
        log.warning("epoch_begun", events_published=events, commands_published=commands)
        return True

    async def _renew(self, attempt: str) -> None:
        lease = str(int(LEASE * 1000))
        if not await self._redis.eval(_RENEW, 1, streams.RECOVERY, attempt, lease):
            raise _Interrupted

    async def _publish_events(self, attempt: str, since: datetime) -> int:
        """Publish what some group has not handled; give the rest to those who only observe."""
        count = 0
        shown_since = now() - SHOWN_FOR
        async for page in self._log(since, now() + self._margin):
            await self._renew(attempt)
            missing = await self._missing(page)
            await self._publisher.publish([each for each in page if each.id in missing])
            observed: dict[str, list[Envelope]] = {}
            for each in page:
                if each.id not in missing and each.time >= shown_since:
                    for group in self._readers.observing.get(each.type.partition(".")[0], ()):
                        observed.setdefault(group, []).append(each)
            for group, envelopes in observed.items():
                await feed(self._publisher.pipeline, group, envelopes, Redrive("recovery"))
            count += len(missing)
            RECOVERED.inc(len(missing))
        return count

    async def _log(self, since: datetime, until: datetime) -> AsyncIterator[list[Envelope]]:
        cursor = self._database[EVENTS].find({"time": {"$gte": since, "$lt": until}})
        async with cursor.sort("time", 1).batch_size(PAGE) as found:
            while page := await found.to_list(PAGE):
                yield [logged_event(each) for each in page]

    async def _missing(self, page: Iterable[Envelope]) -> set[str]:
        """The ids of events that a group reacts to and has not handled."""
        keys = {
            inbox_key(group, each.id): each.id
            for each in page
            for group in self._readers.reacting.get(each.type, ())
        }
        found = self._database[INBOX].find({"_id": {"$in": list(keys)}}, {"_id": 1})
        async for each in found:
            del keys[each["_id"]]
        return set(keys.values())

    async def _publish_commands(self, attempt: str) -> int:
        """Publish the commands of units that were published and not handled."""
        count = 0
        cursor = self._database[OUTBOX].find({"sent": {"$ne": None}}).batch_size(PAGE)
        async with cursor as found:
            while page := await found.to_list(PAGE):
                await self._renew(attempt)
                lost = list((await unhandled(self._database, page)).values())
                await self._publisher.publish(lost)
                count += len(lost)
        RECOVERED.inc(count)
        return count
