"""Sends commands and publishes events."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bus import streams
from bus.broker import FIELD, encode
from bus.pipeline import Command, Pipeline
from bus.replies import Outcome
from contracts.base import Command as CommandContract
from contracts.envelope import Envelope


def stream_of(envelope: Envelope) -> str:
    """The stream a message belongs to: its command's lane, or its domain's events."""
    domain = envelope.type.partition(".")[0]
    contract = CommandContract.of_wire(envelope.type, envelope.dataversion)
    if contract is None:
        return streams.events(domain)
    return streams.commands(domain, contract.lane)


class Publisher:
    """Coalesced XADD. One per process."""

    def __init__(self, redis: Redis, *, durable: str = "auto") -> None:
        self.redis = redis
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
        """Add events (and caused commands) to their streams, in order."""
        await self.pipeline.execute_all([added(each) for each in envelopes])


def added(envelope: Envelope) -> Command:
    """The XADD that puts a message on its stream."""
    value = encode(envelope.wire(), id=envelope.id, correlation=envelope.correlationid)
    return ("XADD", stream_of(envelope), "*", FIELD, value)
