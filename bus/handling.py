"""From one delivery to its end: decode, run the handler, commit, publish, reply, acknowledge."""

from __future__ import annotations

import asyncio
import contextlib
import random
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from bus import streams
from bus.broker import decode
from bus.committer import Committer
from bus.deadlines import Within
from bus.delivery import Delivery, Entry, Grave
from bus.documents import INBOX, Database
from bus.finishing import Finished, Finisher
from bus.middleware import DEAD, Observed, handled, retried
from bus.observing import Observer as Observer
from bus.outages import is_outage
from bus.publisher import Publisher
from bus.replies import Outcome
from bus.unit_of_work import AlreadyHandled, Conflict, Duplicate, UnitOfWork
from contracts.base import Command, Event, Message, View
from contracts.envelope import Envelope
from contracts.errors import DomainError, ErrorKind, Failure, Retry
from contracts.sealed import OPEN

log = structlog.get_logger(__name__)

Handler = Callable[[Any, UnitOfWork], Awaitable[View | DomainError | None]]
"""Raising a DomainError drops what was staged; returning one keeps it, and refuses too."""

FRESH_TRIES = 8
"""How often a handler is run again on fresh state before the message is parked."""

GAVE_UP = Failure(
    code="internal_error",
    kind=ErrorKind.INTERNAL,
    title="The command failed",
    detail="It failed repeatedly and was set aside for an operator.",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How failures are treated; see WorkerSettings for the meaning and units."""

    max_deliveries: int = 5
    backoff_base: float = 0.2
    claim_after: float = 8.0
    timeout: float | None = 60.0

    def backoff(self, attempt: int) -> float:
        """Seconds before the next attempt: exponential with full jitter, within claim_after."""
        ceiling = min(self.claim_after, self.backoff_base * float(2**attempt))
        return ceiling * (0.5 + random.random() / 2)  # noqa: S311 - jitter, not a secret


class Handling:
    """Handles entries for one group."""

    def __init__(
        self,
        group: str,
        table: dict[type[Message], Handler],
        *,
        committer: Committer,
        publisher: Publisher,
        database: Database,
        observer: Observer | None = None,
    ) -> None:
        self.group = group
        self.table = table
        self.observer = observer
        self._wires = {(contract.wire, contract.wire_version): contract for contract in table}
        self._committer = committer
        self._finisher = Finisher(publisher, committer)
        self._publisher = publisher
        self._database = database

    @property
    def together(self) -> Observer | None:
        """Who sees entries as they were read together; None when each is handled by itself."""
        return None if self.table else self.observer

    async def handle(self, entry: Entry, delivery: Delivery, policy: Policy) -> str:
        """Bring one entry to its end, or park it for another attempt; which, in a word.

        Raises nothing but cancellation: an entry that could not even be parked stays
        pending and is claimed again.
        """
        try:
            envelope = Envelope.model_validate_json(decode(entry.fields))
        except ValueError as error:
            await self._bury(entry, delivery, Grave("undecodable", "", entry.attempt, str(error)))
            return "dead"
        with Observed(envelope, self.group, entry.attempt):
            try:
                outcome = await self._handle(envelope, entry, delivery, policy)
            except asyncio.CancelledError:
                raise
            except (RedisError, PyMongoError, OSError) as error:
                log.warning("left_pending", reason=str(error))
                outcome = "left_pending"
                delivery.in_hand.pop(entry.id, None)
        handled(self.group, envelope.type, outcome).inc()
        return outcome

    async def _handle(
        self, envelope: Envelope, entry: Entry, delivery: Delivery, policy: Policy
    ) -> str:
        contract = self._contract_of(envelope)
        if contract is None and self.observer is None:
            if Command.of_wire(envelope.type, envelope.dataversion) is None and (
                delivery.stream == streams.events(streams.domain_of(delivery.stream))
            ):
                delivery.ack_soon([entry.id])  # an event this domain has no use for
                return "ignored"
            return await self._give_up(
                envelope, entry, delivery, Grave("no_handler", "", entry.attempt)
            )
        if entry.attempt > policy.max_deliveries:
            # Whoever had it before died with it, or was too slow: see the attempts.
            grave = Grave("deliveries_exhausted", self._name(contract), entry.attempt - 1)
            return await self._give_up(envelope, entry, delivery, grave)
        try:
            with Within(policy.timeout):
                return await self._run(contract, envelope, entry, delivery)
        except Retry as retry:
            retried(self.group, envelope.type, "asked").inc()
            await delivery.park(entry, retry.after, counted=False)
            return "retried"
        except Exception as error:
            if is_outage(error):
                # Waiting for a server is no attempt of the handler's.
                log.warning("dependency_away", reason=str(error)[:500])
                retried(self.group, envelope.type, "dependency").inc()
                await delivery.park(entry, policy.backoff(3), counted=False)
                return "retried"
            log.exception("handler_failed", handler=self._name(contract))
            if entry.attempt >= policy.max_deliveries:
                grave = Grave(
                    f"{type(error).__name__}: {error}"[:500],
                    self._name(contract),
                    entry.attempt,
                    traceback.format_exc(),
                )
                return await self._give_up(envelope, entry, delivery, grave)
            retried(self.group, envelope.type, "failed").inc()
            await delivery.park(entry, policy.backoff(entry.attempt), counted=True)
            return "retried"

    def _contract_of(self, envelope: Envelope) -> type[Message] | None:
        """What the group handles an envelope as; by its domain alone where it handles ``custom.*``."""
        exact = self._wires.get((envelope.type, envelope.dataversion))
        if exact is not None:
            return exact
        found = self._wires.get((f"{envelope.type.partition('.')[0]}.*", 1))
        if found is None or not issubclass(found, Event) or not self._is_of_use(found, envelope):
            return None
        return found

    def _is_of_use(self, contract: type[Event], envelope: Envelope) -> bool:
        return contract.takes(envelope.data)

    async def _run(
        self,
        contract: type[Message] | None,
        envelope: Envelope,
        entry: Entry,
        delivery: Delivery,
    ) -> str:
        if contract is None:
            assert self.observer is not None
            await self._observe(self.observer, envelope, entry)
            await delivery.ack(entry.id)
            return "observed"
        try:
            message = contract.model_validate(envelope.data, context=OPEN)
        except ValueError as error:
            grave = Grave("invalid_data", self._name(contract), entry.attempt, str(error))
            return await self._give_up(envelope, entry, delivery, grave)
        if entry.again and await self._repeat(envelope, entry, delivery):
            return "repeated"
        duplicates = 0
        for run in range(FRESH_TRIES):
            unit = self._unit(envelope, entry, rerun=run > 0)
            await self._decide(message, unit)
            if unit.empty and unit.replay is None and isinstance(message, Event):
                # To note that nothing was to be done would cost a transaction.
                delivery.ack_soon([entry.id])
                return "ignored"
            # What is done outside of MongoDB must not be done for a message done long ago.
            if unit.effects and await self._repeat(envelope, entry, delivery):
                return "repeated"
            try:
                for effect in unit.effects:
                    await effect()
                publication = await self._committer.commit(unit)
            except Conflict as conflict:
                if isinstance(conflict, AlreadyHandled) and await self._repeat(
                    envelope, entry, delivery
                ):
                    return "repeated"
                log.debug("run_again", reason=str(conflict))
                duplicates += isinstance(conflict, Duplicate)
                if duplicates == FRESH_TRIES:
                    # It has seen each time what is there already, and adds it all the same.
                    raise
                continue
            await self._finisher.finish(Finished(unit, publication, delivery, entry.id))
            return "refused" if unit.outcome and unit.outcome.failure else "done"
        raise Retry(0.2, "the document is contended")

    def _unit(self, envelope: Envelope, entry: Entry, *, rerun: bool = False) -> UnitOfWork:
        """The unit that handling an entry fills; the lane of replays makes another."""
        return UnitOfWork(envelope, self.group, rerun=rerun)

    async def _observe(self, observer: Observer, envelope: Envelope, entry: Entry) -> None:
        await observer([envelope])

    async def _decide(self, message: Message, unit: UnitOfWork) -> None:
        try:
            view = await self.table[type(message)](message, unit)
        except DomainError as error:
            unit.refuse(error)
            return
        if isinstance(view, DomainError):
            unit.refuse_and_keep(view)
        elif isinstance(message, Command):
            unit.succeed(view)

    async def _repeat(self, envelope: Envelope, entry: Entry, delivery: Delivery) -> bool:
        """If the message was handled before, reply as then and acknowledge. Whether it was."""
        found, outcome = await self._find(envelope, entry)
        if not found:
            return False
        if envelope.replyto is not None and outcome is not None:
            await self._publisher.reply(envelope.replyto, outcome)
        await delivery.ack(entry.id)
        return True

    async def _find(self, envelope: Envelope, entry: Entry) -> tuple[bool, Outcome | None]:
        """Whether the inbox has the message, and a command's outcome."""
        key = self._unit(envelope, entry).inbox_key
        found = await self._database[INBOX].find_one({"_id": key})
        if found is None or "outcome" not in found:
            return found is not None, None
        return True, Outcome.model_validate(found["outcome"])

    async def _give_up(
        self, envelope: Envelope, entry: Entry, delivery: Delivery, grave: Grave
    ) -> str:
        """Dead-letter a message; a command's caller learns that it failed."""
        if Command.of_wire(envelope.type, envelope.dataversion) is not None:
            unit = UnitOfWork(envelope, self.group)
            unit.fail(GAVE_UP)
            with contextlib.suppress(AlreadyHandled):
                await self._committer.commit(unit)
        found, outcome = await self._find(envelope, entry)
        if found and (outcome is None or outcome.failure != GAVE_UP):
            # It was carried out, and what failed came after: that is no dead letter.
            await self._repeat(envelope, entry, delivery)
            return "repeated"
        if envelope.replyto is not None and outcome is not None:
            await self._publisher.reply(envelope.replyto, outcome)
        await self._bury(entry, delivery, grave)
        return "dead"

    async def _bury(self, entry: Entry, delivery: Delivery, grave: Grave) -> None:
        log.error(
            "dead_letter", stream=delivery.stream, reason=grave.reason, attempts=grave.attempts
        )
        DEAD.labels(self.group, grave.handler, grave.reason.partition(":")[0]).inc()
        await delivery.bury(entry, grave)

    def _name(self, contract: type[Message] | None) -> str:
        if contract is None:
            return "observer"
        handler: Any = self.table[contract]
        return str(getattr(getattr(handler, "func", handler), "__name__", "handler"))
