"""The lane ``grid8:{domain}:replay``: events that one group is to handle apart from their streams.

An entry carries the event as in its own stream, and further fields. Either ``replay`` (the
replay's id), ``reaction`` (only this one, or empty) and ``effects`` (``0`` or ``1``): the
event is handled again, once per replay. What the reaction stages outside its documents is
dropped, unless effects are wanted; then the ids of what it emits and sends are new ones.
Or ``redrive`` (why, in one word): the event is handled as at its first delivery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bus import streams
from bus.broker import FIELD, encode
from bus.delivery import Delivery, Entry
from bus.handling import Handling, Observer, Policy
from bus.pipeline import Pipeline
from bus.unit_of_work import UnitOfWork
from contracts.base import Event, Message
from contracts.envelope import Envelope
from contracts.types import derived_id

COUNTED_FOR = 7 * 86400
"""Seconds in which it is known how often the events of a replay had to be tried again."""


@dataclass(frozen=True, slots=True)
class Again:
    """Why an event is in the lane: of which replay, and how it is to be handled."""

    replay: str
    reaction: str = ""
    effects: bool = False

    def fields(self) -> list[str]:
        """The further fields of an entry, name and value in turn."""
        effects = "1" if self.effects else "0"
        return ["replay", self.replay, "reaction", self.reaction, "effects", effects]


@dataclass(frozen=True, slots=True)
class Redrive:
    """That an event is to be handled as at its first delivery."""

    why: str

    def fields(self) -> list[str]:
        """The further fields of an entry, name and value in turn."""
        return ["redrive", self.why]


async def feed(
    pipeline: Pipeline, group: str, envelopes: Sequence[Envelope], why: Again | Redrive
) -> list[str]:
    """Add events to a group's lane, in order; the ids of their entries. Raises RedisError."""
    stream, fields = streams.replay(group), why.fields()
    adds = [
        (
            "XADD",
            stream,
            "*",
            FIELD,
            encode(each.wire(), id=each.id, correlation=each.correlationid),
            *fields,
        )
        for each in envelopes
    ]
    return [id.decode() for id in await pipeline.execute_all(adds)]


def again(entry: Entry) -> Again | None:
    """What a replay says about an entry; None for a redriven one."""
    replay = entry.fields.get(b"replay", b"").decode(errors="replace")
    if not replay:
        return None
    return Again(
        replay,
        entry.fields.get(b"reaction", b"").decode(errors="replace"),
        entry.fields.get(b"effects") == b"1",
    )


class ReplayHandling(Handling):
    """Handles the entries of the lane."""

    @property
    def together(self) -> Observer | None:
        """Nobody: each entry says for itself how it is to be handled."""
        return None

    async def _handle(
        self, envelope: Envelope, entry: Entry, delivery: Delivery, policy: Policy
    ) -> str:
        wanted = again(entry)
        contract = self._contract_of(envelope)
        if contract is None:
            useless = self.observer is None or (wanted is not None and not wanted.effects)
        else:
            useless = bool(wanted and wanted.reaction not in ("", self._name(contract)))
        if useless:
            await delivery.ack(entry.id)
            return "ignored"
        outcome = await super()._handle(envelope, entry, delivery, policy)
        if outcome == "retried" and wanted is not None:
            key = streams.retries(self.group, wanted.replay)
            await delivery.pipeline.execute_all([("INCR", key), ("EXPIRE", key, COUNTED_FOR)])
        return outcome

    def _is_of_use(self, contract: type[Event], envelope: Envelope) -> bool:
        return True  # whoever replays waits until it is noted as handled

    def _unit(self, envelope: Envelope, entry: Entry, *, rerun: bool = False) -> UnitOfWork:
        wanted = again(entry)
        unit = UnitOfWork(envelope, self.group, rerun=rerun)
        if wanted is not None:
            unit.replay = wanted.replay
            unit.outside = wanted.effects
        return unit

    async def _observe(self, observer: Observer, envelope: Envelope, entry: Entry) -> None:
        wanted = again(entry)
        if wanted is not None:
            # Under its own id it would be known already.
            id = derived_id("evt", envelope.id, wanted.replay)
            envelope = envelope.model_copy(update={"id": id, "causationid": envelope.id})
        await observer([envelope])

    async def _decide(self, message: Message, unit: UnitOfWork) -> None:
        await super()._decide(message, unit)
        if not unit.outside:
            unit.suppress()
