"""Makes good that Redis lost its data: FLUSHALL, or an empty server in place of the old one.

Redis has an epoch that MongoDB knows too; where they differ, Redis is not what it was. Then
streams and groups are made again, and what was published but not handled by everybody is
published again: events from the log, from the watermark on, and commands from the outbox.

Consumers skip what they have handled, so it may be broken off anywhere and begun again, by
any relay. One at a time does it, under a lock in Redis; the lock is lost with the data if
Redis loses them once more meanwhile, and then it is begun anew.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from prometheus_client import Counter

from bus import streams
from bus.broker import ensure_groups
from bus.documents import EVENTS, INBOX, INBOX_DAYS, OUTBOX, RELAY_STATE, Database
from bus.logged import logged_event, published_at
from bus.publisher import Publisher
from bus.recovery.watermark import DOCUMENT, NEVER, Watermark
from bus.relay import unhandled
from bus.replay.lane import Redrive, feed
from bus.unit_of_work import inbox_key
from contracts.envelope import Envelope
from contracts.types import first_id, now

log = structlog.get_logger(__name__)

RECOVERED = Counter("grid8_recovered_total", "Messages published again because Redis lost them")
PAGE = 500
LEASE_MS = 15_000
"""After which another relay goes on where one died."""
SHOWN_FOR = timedelta(hours=1)
"""How far back events are given again to groups that only observe."""

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

    ``reacting`` names the groups by type, or by ``custom.*``, which keep an inbox; ``observing`` those that see
    every event of a domain, and keep none.
    """

    events: Sequence[tuple[str, str]]
    commands: Sequence[tuple[str, str]]
    reacting: Mapping[str, Sequence[str]]
    observing: Mapping[str, Sequence[str]]
    takes: Mapping[str, Callable[[Mapping[str, Any]], bool]] = field(default_factory=dict)
    """Which data of ``custom.*`` is of use to those that react to it: the rest they do not note."""


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
        self._watermark = Watermark(database, publisher.redis, readers.events)

    async def tick(self) -> bool:
        """Make a loss good, or else advance the watermark. Whether a new epoch was begun.

        Raises redis.RedisError or PyMongoError; call it again.
        """
        state = await self._watermark.state()
        if await self._watermark.epoch() == state["epoch"]:
            await self._watermark.advance(state["epoch"])
            return False
        attempt = secrets.token_hex(8)
        if not await self._redis.set(streams.RECOVERY, attempt, nx=True, px=LEASE_MS):
            return False  # another relay is at it
        state = await self._watermark.state()
        if await self._watermark.epoch() == state["epoch"]:
            await self._redis.delete(streams.RECOVERY)
            return False
        try:
            await self._recover(attempt, state)
        except _Interrupted:
            log.warning("recovery_interrupted")
            return False
        return True

    async def _recover(self, attempt: str, state: Mapping[str, Any]) -> None:
        await ensure_groups(self._redis, [*self._readers.commands, *self._readers.events])
        since = max(state["through"] - self._margin, now() - timedelta(days=INBOX_DAYS - 1))
        if state["epoch"] != NEVER:
            log.error("redis_lost_its_data", publishing_since=since.isoformat())
        events = 0
        async for page in self._log(since):
            await self._renew(attempt)
            events += await self._publish(page)
        commands = 0
        async for documents in self._with_commands():
            await self._renew(attempt)
            lost = list((await unhandled(self._database, documents)).values())
            await self._publisher.publish(lost)
            commands += len(lost)
        RECOVERED.inc(events + commands)
        # The other way round, a crash between the two would go unnoticed.
        await self._database[RELAY_STATE].update_one(
            {"_id": DOCUMENT}, {"$set": {"epoch": attempt}}
        )
        if not await self._redis.eval(_FINISH, 2, streams.RECOVERY, streams.EPOCH, attempt):
            raise _Interrupted
        log.warning("epoch_begun", events_published=events, commands_published=commands)

    async def _renew(self, attempt: str) -> None:
        if not await self._redis.eval(_RENEW, 1, streams.RECOVERY, attempt, str(LEASE_MS)):
            raise _Interrupted

    async def _publish(self, page: Sequence[Envelope]) -> int:
        """Publish what some group has not handled, and show the rest to those who only observe."""
        missing = await self._missing(page)
        await self._publisher.publish([each for each in page if each.id in missing])
        shown_since = now() - SHOWN_FOR
        observed: dict[str, list[Envelope]] = {}
        for each in page:
            if each.id not in missing and published_at(each) >= shown_since:
                for group in self._readers.observing.get(each.type.partition(".")[0], ()):
                    observed.setdefault(group, []).append(each)
        for group, envelopes in observed.items():
            await feed(self._publisher.pipeline, group, envelopes, Redrive("recovery"))
        return len(missing)

    async def _log(self, since: datetime) -> AsyncIterator[list[Envelope]]:
        # An internal producer's event has a time of its own, but an id of ours.
        of_producers = {"_id": {"$gte": first_id("evt", since)}, "type": {"$regex": r"^custom\."}}
        for query, key in (
            ({"time": {"$gte": since, "$lt": now() + self._margin}}, "time"),
            (of_producers, "_id"),
        ):
            async with self._database[EVENTS].find(query).sort(key, 1) as found:
                while page := await found.to_list(PAGE):
                    yield [logged_event(each) for each in page]

    async def _with_commands(self) -> AsyncIterator[list[dict[str, Any]]]:
        """Also those not marked as sent: they may be just after Redis has lost what was sent."""
        async with self._database[OUTBOX].find({"commands": {"$ne": []}}) as found:
            while page := await found.to_list(PAGE):
                yield page

    def _reacting(self, event: Envelope) -> Sequence[str]:
        readers = self._readers
        if event.type in readers.reacting:
            return readers.reacting[event.type]
        pattern = f"{event.type.partition('.')[0]}.*"
        takes = readers.takes.get(pattern)
        return readers.reacting[pattern] if takes is not None and takes(event.data) else ()

    async def _missing(self, page: Sequence[Envelope]) -> set[str]:
        """The ids of events that a group reacts to and has not handled."""
        keys = {
            inbox_key(group, each.id): each.id for each in page for group in self._reacting(each)
        }
        found = self._database[INBOX].find({"_id": {"$in": list(keys)}}, {"_id": 1})
        async for each in found:
            del keys[each["_id"]]
        return set(keys.values())
