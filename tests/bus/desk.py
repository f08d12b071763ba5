"""Handlers at work without a worker: real MongoDB, the real Handling, no reading of streams."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from bus import streams
from bus.broker import FIELD, connect, decode, encode
from bus.committer import Committer
from bus.delivery import Delivery, Entry
from bus.documents import EVENTS, Database
from bus.handling import Handler, Handling, Policy
from bus.outcomes import find_outcome
from bus.publisher import Publisher
from contracts.actor import Actor
from contracts.base import Command, Event, Message
from contracts.envelope import Envelope
from contracts.types import new_id
from handlers.runtime import init_documents
from infra import mongo
from infra.settings import MongoSettings

_POLICY = Policy(max_deliveries=1, backoff_base=0.01, claim_after=1.0, timeout=20.0)


class Refused(Exception):
    """A command ended in a failure with this code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


@dataclass
class Desk:
    """One domain's handlers."""

    domain: str
    redis: Redis
    database: Database
    publisher: Publisher
    committer: Committer
    handling: Handling

    async def do(self, command: Command, actor: Actor | None = None, **envelope: Any) -> Any:
        """Carry a command out, as often as it asks to be; its result, or Refused."""
        message = Envelope.of_command(command, source="/grid8/tests", actor=actor, **envelope)
        return await self.carry_out(message)

    async def carry_out(self, message: Envelope) -> Any:
        await self._handle(message, streams.commands(self.domain))
        outcome = await find_outcome(self.database, message.id, [self.domain])
        assert outcome is not None
        if outcome.failure is not None:
            raise Refused(outcome.failure.code, outcome.failure.detail)
        return outcome.result

    async def code_of(self, command: Command, actor: Actor | None = None) -> str:
        """How a command ends: ``done`` or the code of its refusal."""
        try:
            await self.do(command, actor)
        except Refused as refused:
            return refused.code
        return "done"

    async def react(self, event: Event, *, revision: int | None = None, **envelope: Any) -> None:
        """Let the domain react to another domain's event."""
        cause = Envelope.model_validate(
            {
                "id": new_id("cmd"),
                "source": "/grid8/tests",
                "type": "tests.nothing.do",
                "time": "2026-01-01T00:00:00Z",
                "data": {},
                **envelope,
            }
        )
        message = cause.caused_event(event, salt="x", revision=revision, org=envelope.get("org"))
        await self._handle(message, streams.events(message.type.partition(".")[0]))

    async def _handle(self, message: Envelope, stream: str) -> None:
        delivery = Delivery(self.redis, self.publisher.pipeline, stream, self.domain, "desk", 1.0)
        value = encode(message.wire(), id=message.id, correlation=None)
        deadline = time.monotonic() + 15
        tries = 0
        while await self.database["inbox"].find_one(f"{self.domain}:{message.id}") is None:
            assert time.monotonic() < deadline, f"{message.type} never came to an end"
            entry = Entry(f"1-{tries}", {FIELD.encode(): value}, 1, again=tries > 0)
            # Nothing is pending, so parking is in vain; we come again ourselves.
            if await self.handling.handle(entry, delivery, _POLICY) == "ignored":
                await delivery.settle()
                return
            tries += 1
            if tries > 1:
                await asyncio.sleep(0.02)

    async def sent(self) -> list[Envelope]:
        """Commands the domain has sent to itself and nobody has taken yet; takes them."""
        found = []
        for lane in ("fast", "slow"):
            stream = streams.commands(self.domain, lane)  # type: ignore[arg-type]
            for id, fields in await self.redis.xrange(stream):
                found.append(Envelope.model_validate_json(decode(fields)))
                await self.redis.xdel(stream, id)
        return found

    async def run_sent(self) -> list[str]:
        """Carry out everything sent, and what that sends; the types, in order."""
        types = []
        while sent := await self.sent():
            for message in sent:
                types.append(message.type)
                await self.carry_out(message)
        return types

    async def events(self, type: str | None = None) -> list[dict[str, Any]]:
        wanted = {} if type is None else {"type": type}
        return await self.database[EVENTS].find(wanted).sort("_id").to_list()

    async def dead(self) -> list[dict[bytes, bytes]]:
        return [fields for _, fields in await self.redis.xrange(streams.dead(self.domain))]


@asynccontextmanager
async def desk(
    domain: str,
    table: Mapping[type[Message], Handler],
    *,
    mongo_url: str,
    redis_url: str,
    logical: int,
) -> AsyncIterator[Desk]:
    """A desk with a database of its own and an emptied logical database of Redis."""
    redis = connect(redis_url.removesuffix("/0") + f"/{logical}")
    await redis.flushdb()
    name = f"desk-{domain}-{uuid.uuid4().hex[:8]}"
    client, database = mongo.connect(MongoSettings(url=mongo_url, database=name))
    await init_documents(database, [domain], indexes=True)
    publisher = Publisher(redis, durable="always")
    committer = Committer(client, database)
    handling = Handling(
        domain, dict(table), committer=committer, publisher=publisher, database=database
    )
    try:
        yield Desk(domain, redis, database, publisher, committer, handling)
    finally:
        await committer.close()
        await publisher.pipeline.close()
        await redis.aclose()
        await client.drop_database(name)
        await client.close()
