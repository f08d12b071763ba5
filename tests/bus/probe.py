"""A domain of the tests' own, and what drives the bus with it.

Its contracts are known only while a test of the bus runs (see conftest.py), so that nobody
else's catalog shows them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pymongo import ASCENDING, IndexModel
from redis.asyncio import Redis

from bus import streams
from bus.broker import FIELD, encode, ensure_group
from bus.committer import Committer
from bus.delivery import Delivery, Entry
from bus.documents import EVENTS, INBOX, OUTBOX, Aggregate, Database
from bus.handling import Handler, Handling, Policy
from bus.pipeline import Pipeline
from bus.publisher import Publisher
from bus.replies import Outcome, Replies
from bus.unit_of_work import UnitOfWork
from contracts.actor import Actor
from contracts.base import Command, Event, Message, View
from contracts.envelope import Envelope
from contracts.errors import DomainError, ErrorKind
from contracts.permissions import Role
from contracts.sealed import Sealed
from contracts.types import Name

DOMAIN = "probe"
COMMANDS = streams.commands(DOMAIN)
EVENT_STREAM = streams.events(DOMAIN)
DEAD = streams.dead(DOMAIN)
ACTOR = Actor(user="usr_probe", session="ses_probe", org="org_probe", role=Role.OWNER)

_before = set(Message._known)


class MakeThing(Command):
    """Make a thing."""

    wire = "probe.thing.make"

    name: Name
    secret: Sealed[str] | None = None


class BroodOverThing(Command):
    """Take a while."""

    wire = "probe.thing.brood"
    lane = "slow"

    name: Name


class UnheardOf(Command):
    """Nobody handles it."""

    wire = "probe.thing.ignore"


class ThingMade(Event):
    """A thing was made."""

    wire = "probe.thing.made"
    subject = "thing_id"

    thing_id: str
    name: str


class ThingForgotten(Event):
    """Nobody reacts to it."""

    wire = "probe.thing.forgotten"
    subject = "thing_id"

    thing_id: str


CONTRACTS = {key: Message._known.pop(key) for key in set(Message._known) - _before}


class ThingView(View):
    """A thing."""

    id: str
    name: str


class Thing(Aggregate):
    """What the probe stores; no two have the same name."""

    name: str
    size: int = 0

    class Settings:
        name = "things"
        indexes = [IndexModel([("name", ASCENDING)], unique=True, name="name")]


class ThingRefused(DomainError):
    code = "probe.thing_refused"
    kind = ErrorKind.CONFLICT
    title = "No"


async def make_thing(command: MakeThing, uow: UnitOfWork) -> ThingView:
    """What a well-behaved handler does."""
    if await Thing.find_one({"name": command.name}) is not None:
        raise ThingRefused()
    thing = Thing(id=uow.new_id("thg"), name=command.name)
    uow.add(thing)
    uow.emit(ThingMade(thing_id=thing.id, name=thing.name), thing)
    return ThingView(id=thing.id, name=thing.name)


def envelope_of(command: Command, **more: Any) -> Envelope:
    return Envelope.of_command(command, source="/grid8/tests", actor=ACTOR, **more)


def unit_of(name: str = "message", group: str = DOMAIN) -> UnitOfWork:
    """A unit for a message of its own."""
    return UnitOfWork(envelope_of(MakeThing(name=name)), group)


async def until(
    true: Callable[[], Awaitable[Any] | Any], what: str, *, seconds: float = 10.0
) -> Any:
    """Wait until ``true()`` is; fail saying ``what`` was waited for and what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        seen = true()
        if asyncio.iscoroutine(seen):
            seen = await seen
        if seen:
            return seen
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what} (seen: {seen!r})"
        await asyncio.sleep(0.01)


@dataclass
class Bus:
    """Real servers, and the pieces of the bus on them."""

    redis: Redis
    database: Database
    publisher: Publisher
    committer: Committer
    replies: Replies
    groups: set[tuple[str, str]] = field(default_factory=set)

    @property
    def pipeline(self) -> Pipeline:
        return self.publisher.pipeline

    def handling(
        self, table: dict[type[Message], Handler], *, group: str = DOMAIN, **more: Any
    ) -> Handling:
        return Handling(
            group,
            table,
            committer=more.pop("committer", self.committer),
            publisher=more.pop("publisher", self.publisher),
            database=self.database,
            **more,
        )

    def delivery(
        self,
        stream: str = COMMANDS,
        *,
        group: str = DOMAIN,
        consumer: str = "one",
        claim_after: float = 0.3,
    ) -> Delivery:
        return Delivery(self.redis, self.pipeline, stream, group, consumer, claim_after)

    async def put(self, envelope: Envelope, stream: str = COMMANDS) -> str:
        value = encode(envelope.wire(), id=envelope.id, correlation=None)
        return (await self.redis.xadd(stream, {FIELD: value})).decode()

    async def send(self, command: Command, **more: Any) -> Envelope:
        envelope = envelope_of(command, **more)
        await self.put(envelope, streams.commands(DOMAIN, command.lane))
        return envelope

    async def read(self, delivery: Delivery, count: int = 100) -> list[Entry]:
        """New entries, as the worker's reader delivers them."""
        await ensure_group(self.redis, delivery.stream, delivery.group)
        reply = await self.redis.xreadgroup(
            delivery.group, delivery.consumer, {delivery.stream: ">"}, count=count
        )
        entries = [
            Entry(id.decode(), fields, 1) for _, found in reply or [] for id, fields in found
        ]
        for entry in entries:
            delivery.take(entry.id)
        return entries

    async def reclaimed(self, delivery: Delivery, count: int = 1) -> list[Entry]:
        """Entries that have become claimable."""
        found: list[Entry] = []

        async def look() -> bool:
            found.extend(await delivery.reclaim(10))
            return len(found) >= count

        await until(look, f"{count} entries to reclaim from {delivery.stream}")
        for entry in found:
            delivery.take(entry.id)
        return found

    async def pending(self, stream: str = COMMANDS, group: str = DOMAIN) -> list[dict[str, Any]]:
        return await self.redis.xpending_range(stream, group, "-", "+", 1000)

    async def dead(self, domain: str = DOMAIN) -> list[dict[str, str]]:
        """Dead letters, without the entry itself."""
        return [
            {
                name.decode(): value.decode(errors="replace")
                for name, value in fields.items()
                if name != FIELD.encode()
            }
            for _, fields in await self.redis.xrange(streams.dead(domain))
        ]

    async def inbox(self, message: str, group: str = DOMAIN) -> dict[str, Any] | None:
        return await self.database[INBOX].find_one({"_id": f"{group}:{message}"})

    async def outcome(self, message: str) -> Outcome:
        found = await self.inbox(message)
        assert found is not None, f"nobody has handled {message}"
        return Outcome.model_validate(found["outcome"])

    async def counts(self) -> dict[str, int]:
        return {
            name: await self.database[name].count_documents({})
            for name in (INBOX, EVENTS, OUTBOX, "things")
        }

    async def published(self, domain: str = DOMAIN) -> list[Envelope]:
        from bus.broker import decode

        return [
            Envelope.model_validate_json(decode(fields))
            for _, fields in await self.redis.xrange(streams.events(domain))
        ]


POLICY = Policy(max_deliveries=3, backoff_base=0.01, claim_after=0.3, timeout=5.0)
