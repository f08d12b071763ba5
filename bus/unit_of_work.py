"""The unit of work: handlers stage, the committer writes.

A handler is given a unit, loads what it needs, decides, and stages changes on it. It never
writes, so it cannot forget a session, and many units can be committed in one transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bus.documents import Aggregate
from bus.replies import Outcome
from contracts.actor import Actor
from contracts.base import Command, Event, View
from contracts.envelope import Envelope
from contracts.errors import DomainError, Failure, RevisionMismatch
from contracts.types import derived_id, now

Effect = Callable[[], Awaitable[None]]


class Conflict(Exception):
    """What was loaded has changed since; the handler is run again on fresh state.

    ``unit`` is the one to blame within a batch, where that is known.
    """

    def __init__(self, reason: str, unit: UnitOfWork | None = None) -> None:
        super().__init__(reason)
        self.unit = unit


class Duplicate(Conflict):
    """A new document has what a unique index lets only one have."""


class AlreadyHandled(Conflict):
    """The inbox has this message already."""


@dataclass(slots=True)
class Change:
    """A document to be written only if its revision is still ``expected``."""

    document: Aggregate
    expected: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A document that must still be there, and unchanged where ``revision`` is given."""

    document: type[Aggregate]
    id: str
    revision: int | None = None


@dataclass(slots=True, eq=False)
class UnitOfWork:
    """Everything one message changes, staged.

    ``message`` is the envelope handled; ``group`` the consuming domain; ``rerun`` tells that
    the handler has run before and its changes met a conflict. What an index or a hold would
    find anyway need be looked for only then.
    """

    message: Envelope
    group: str
    rerun: bool = False
    replay: str | None = None
    """The replay that has the message handled again; see replay/lane.py."""
    outside: bool = True
    """Whether more than documents may be changed; a replay says."""
    adds: list[Aggregate] = field(default_factory=list)
    saves: list[Change] = field(default_factory=list)
    removes: list[Change] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    events: list[Envelope] = field(default_factory=list)
    commands: list[Envelope] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    outcome: Outcome | None = None

    @property
    def actor(self) -> Actor:
        """Who asked. Raises LookupError when nobody was signed in: a wiring mistake."""
        actor = self.message.who()
        if actor is None:
            raise LookupError(f"{self.message.type} needs an actor")
        return actor

    @property
    def org(self) -> str:
        """The organization acted in."""
        if self.message.org is None:
            raise LookupError(f"{self.message.type} needs an organization")
        return self.message.org

    @property
    def inbox_key(self) -> str:
        """What of the message is handled once: by the group, and by it in each replay."""
        return inbox_key(self.group, self.message.id, self.replay)

    def new_id(self, prefix: str, salt: str = "") -> str:
        """An id for what this message makes: the same on each delivery of it."""
        return derived_id(prefix, self.message.id, salt)

    def add(self, document: Aggregate) -> None:
        """Stage a new document. A duplicate of a unique index runs the handler again."""
        self.adds.append(document)

    def save(self, document: Aggregate) -> None:
        """Stage a changed document and count its revision up, once."""
        if any(change.document is document for change in self.saves):
            return
        self.saves.append(Change(document, document.revision))
        document.revision += 1
        document.updated_at = now()

    def remove(self, document: Aggregate) -> None:
        """Stage the removal of a document; it counts as the last of its revisions."""
        self.removes.append(Change(document, document.revision))
        document.revision += 1

    def hold(self, document: Aggregate) -> None:
        """Stage that a document, read but not changed, must still be as it was read.

        A project holds its brand, so that the brand cannot be removed at the same instant.
        """
        self.holds.append(Hold(type(document), document.id, document.revision))

    def hold_id(self, document: type[Aggregate], id: str) -> None:
        """Stage that a document must be there; where it is not, the handler runs again."""
        self.holds.append(Hold(document, id))

    def emit(self, event: Event, of: Aggregate | None = None, *, org: str | None = None) -> None:
        """Stage an event about ``of``, in the organization of the message unless given."""
        self.events.append(
            self.message.caused_event(
                event,
                salt=self._salt(len(self.events)),
                revision=of.revision if of else None,
                org=org or self.message.org,
            )
        )

    def send(self, command: Command) -> None:
        """Stage a command to any domain, sent after the commit."""
        self.commands.append(
            self.message.caused_command(command, salt=self._salt(len(self.commands)))
        )

    def _salt(self, number: int) -> str:
        return f"{self.group}/{number}" + (f"/{self.replay}" if self.replay else "")

    def effect(self, effect: Effect) -> None:
        """Stage something outside MongoDB that is done just before the commit.

        It must be idempotent: a crash between it and the commit does it again.
        """
        self.effects.append(effect)

    def suppress(self) -> None:
        """Drop what would be seen outside: events, commands and effects."""
        self.events.clear()
        self.commands.clear()
        self.effects.clear()

    def succeed(self, view: View | None) -> None:
        """Record the answer to a command."""
        self.outcome = Outcome(
            command_id=self.message.id,
            status="succeeded",
            result=view.model_dump(mode="json") if view is not None else None,
            actor=self.message.actor,
        )

    def refuse(self, error: DomainError) -> None:
        """Record a refusal by rule; drops everything staged."""
        self.fail(error.failure())

    def refuse_and_keep(self, error: DomainError) -> None:
        """Record a refusal by rule that has consequences: what was staged is written."""
        self.outcome = self._failed(error.failure())

    def fail(self, failure: Failure) -> None:
        """Record a failure; drops everything staged."""
        for staged in self._staged:
            staged.clear()
        self.outcome = self._failed(failure)

    def _failed(self, failure: Failure) -> Outcome:
        return Outcome(
            command_id=self.message.id, status="failed", failure=failure, actor=self.message.actor
        )

    @property
    def empty(self) -> bool:
        """Whether nothing is staged and nobody is answered: deciding it again does no harm."""
        return self.outcome is None and not any(self._staged)

    @property
    def _staged(self) -> tuple[list[Any], ...]:
        return (
            self.adds,
            self.saves,
            self.removes,
            self.holds,
            self.events,
            self.commands,
            self.effects,
        )

    def outbound(self) -> list[Envelope]:
        """What is published after the commit."""
        return [*self.events, *self.commands]


def inbox_key(group: str, message: str, replay: str | None = None) -> str:
    """The key in the inbox of a message that a group has handled."""
    return f"{group}:{message}" if replay is None else f"{group}:replay:{replay}:{message}"


def check_revision(document: Aggregate, expected: int | None) -> None:
    """Raise RevisionMismatch when If-Match named another revision than the document's."""
    if expected is not None and document.revision != expected:
        raise RevisionMismatch(
            f"You named revision {expected}; the stored revision is {document.revision}."
        )
