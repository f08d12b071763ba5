"""Sends commands and publishes events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bus import streams
from bus.broker import FIELD, encode
from bus.feed.pushing import Pushes
from bus.pipeline import Command, Pipeline
from bus.replies import Outcome
from contracts.base import Command as CommandContract
from contracts.envelope import Envelope

log = structlog.get_logger(__name__)


def stream_of(envelope: Envelope) -> str:
    """The stream a message belongs to: its command's lane, or its domain's events."""
    domain = envelope.type.partition(".")[0]
    contract = CommandContract.of_wire(envelope.type, envelope.dataversion)
    if contract is None:
        return streams.events(domain)
    return streams.commands(domain, contract.lane)


def _is_command(envelope: Envelope) -> bool:
    return CommandContract.of_wire(envelope.type, envelope.dataversion) is not None


class Publisher:
    """Coalesced XADD. One per process.

    Without ``pushes`` it leaves it to the notifiers to push what it publishes.
    """

    def __init__(
        self, redis: Redis, *, durable: str = "auto", pushes: Pushes | None = None
    ) -> None:
        self.redis = redis
        self._pushes = pushes
        self.pipeline = Pipeline(redis)
        self._durable = durable

    async def start(self) -> None:
        """Ask the server how durable it is, unless a setting says it. Raises redis.RedisError."""
        if self._durable != "auto":
            return
        try:
            policy = await self.redis.config_get("appendonly", "appendfsync")
        except ResponseError:  # a managed Redis may refuse CONFIG; WAITAOF is then the safe way
            self._durable = "waitaof"
            return
        if policy.get("appendonly") != "yes":
            self._durable = "off"
        else:
            self._durable = "always" if policy.get("appendfsync") == "always" else "waitaof"

    @property
    def durability(self) -> str:
        """always, waitaof, or off: what stands behind a 202."""
        return self._durable

    async def send(self, envelope: Envelope) -> str:
        """Add a command to its stream; on return Redis has it in its append-only file.

        Returns the id of the entry. Raises redis.RedisError when it may not have arrived.
        """
        entry: bytes = await self.pipeline.execute(*added(envelope))
        return entry.decode()

    async def execute_durably(self, command: Command) -> None:
        """Execute any one command, and wait for the fsync where the server does it later (WAITAOF)."""
        if self._durable != "waitaof":
            await self.pipeline.execute(*command)
            return
        async with self.redis.pipeline(transaction=False) as pipe:
            pipe.execute_command(*command)
            pipe.execute_command("WAITAOF", 1, 0, 5000)
            _, acknowledged = await pipe.execute()
        if not acknowledged[0]:
            raise TimeoutError("Redis has not written its append-only file in 5 s")

    async def reply(self, channel: str, outcome: Outcome) -> None:
        """Tell whoever waits on ``channel`` how a command ended."""
        await self.pipeline.execute("PUBLISH", channel, outcome.model_dump_json())

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Add events (and caused commands) to their streams, in order, and push the events.

        Raises redis.RedisError when they may not be on their streams: publish them again.
        """
        await self.publish_and(envelopes, ())

    async def publish_and(self, envelopes: Sequence[Envelope], more: Sequence[Command]) -> None:
        """Publish, and execute more commands, in one round trip. Raises as ``publish`` does."""
        adding = self.pipeline.execute_all([*map(added, envelopes), *more])
        if self._pushes is None:
            await adding
            return
        events = [each for each in envelopes if not _is_command(each)]
        if events:
            await asyncio.gather(adding, self._push(self._pushes, events))
        else:
            await adding

    async def _push(self, pushes: Pushes, events: Sequence[Envelope]) -> None:
        """What is not pushed here, for whatever reason, the notifiers push when they see it."""
        try:
            await self.pipeline.execute_all(pushes.commands(events))
        except Exception as error:
            log.warning("pushed_later", events=len(events), reason=str(error)[:200])


def added(envelope: Envelope) -> Command:
    """The XADD that puts a message on its stream."""
    value = encode(envelope.wire(), id=envelope.id, correlation=envelope.correlationid)
    return ("XADD", stream_of(envelope), "*", FIELD, value)
