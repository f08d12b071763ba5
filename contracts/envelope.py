"""The envelope of every message: CloudEvents 1.0 in structured JSON, with our extensions.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md: extension names are
lower-case letters and digits.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field

from contracts.actor import Actor
from contracts.base import Command, Contract, Event, Message
from contracts.permissions import Permission, Role
from contracts.types import Instant, derived_id, new_id, now


class Envelope(Contract):
    """Attributes of one command or event, and its data as plain JSON."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1, max_length=128)
    source: str = Field(min_length=1, max_length=200)
    type: str = Field(min_length=1, max_length=200)
    time: Instant
    subject: str | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    dataversion: int = Field(1, ge=1, description="Version of the contract of `data`.")
    data: dict[str, Any]

    org: str | None = Field(None, description="Organization the message belongs to.")
    actor: str | None = Field(None, description="User, or API key, who caused it.")
    role: Role | None = Field(None, description="The actor's role in the organization or brand.")
    session: str | None = Field(None, description="The actor's session.")
    scopes: tuple[Permission, ...] | None = Field(
        None, description="What an API key may; only in commands."
    )
    impersonator: str | None = Field(
        None, description="Platform admin who acted in the actor's name."
    )
    address: str | None = Field(None, description="IP address the request came from.")
    correlationid: str | None = Field(None, description="Request that started the chain.")
    causationid: str | None = Field(None, description="Message that caused this one.")
    traceparent: str | None = Field(None, description="W3C trace context.")
    replyto: str | None = Field(None, description="Channel that waits for a command's reply.")
    revision: int | None = Field(None, description="Revision of the subject after an event.")

    @classmethod
    def of_command(
        cls,
        command: Command,
        *,
        source: str,
        actor: Actor | None = None,
        id: str | None = None,
        correlationid: str | None = None,
        causationid: str | None = None,
        traceparent: str | None = None,
        replyto: str | None = None,
        address: str | None = None,
    ) -> Self:
        """Wrap a command. Secrets in it are sealed by the dump."""
        return cls(
            id=id or new_id("cmd"),
            source=source,
            type=command.wire,
            time=now(),
            dataversion=command.wire_version,
            data=command.model_dump(mode="json", exclude_unset=True),
            org=actor.org if actor else None,
            actor=actor.user if actor else None,
            role=actor.role if actor else None,
            session=actor.session if actor else None,
            scopes=_scopes(actor),
            impersonator=actor.impersonator if actor else None,
            address=address,
            correlationid=correlationid,
            causationid=causationid,
            traceparent=traceparent,
            replyto=replyto,
        )

    def caused_event(
        self, event: Event, *, salt: str, revision: int | None, org: str | None
    ) -> Envelope:
        """The envelope of an event that handling this message caused.

        Its id follows from this message's id and ``salt`` (which consumer, which event of
        it), so handling the message again emits the same event.
        """
        return self._caused(
            event,
            derived_id("evt", self.id, salt),
            org,
            subject=str(getattr(event, event.subject)),
            revision=revision,
        )

    def caused_command(self, command: Command, *, salt: str) -> Envelope:
        """The envelope of a command that handling this message caused; its id as above."""
        return self._caused(command, derived_id("cmd", self.id, salt), self.org)

    def _caused(
        self,
        message: Message,
        id: str,
        org: str | None,
        *,
        subject: str | None = None,
        revision: int | None = None,
    ) -> Envelope:
        return Envelope(
            id=id,
            source=f"/grid8/{message.domain()}",
            type=message.wire,
            time=now(),
            dataversion=message.wire_version,
            data=message.model_dump(mode="json", exclude_unset=True),
            subject=subject,
            revision=revision,
            org=org,
            actor=self.actor,
            role=self.role,
            session=self.session,
            scopes=self.scopes if isinstance(message, Command) else None,
            impersonator=self.impersonator,
            address=self.address,
            correlationid=self.correlationid or self.id,
            causationid=self.id,
            traceparent=self.traceparent,
        )

    def who(self) -> Actor | None:
        """The actor of the message; None when nobody was signed in."""
        if self.actor is None:
            return None
        return Actor(
            user=self.actor,
            session=self.session,
            org=self.org,
            role=self.role,
            scopes=None if self.scopes is None else frozenset(self.scopes),
            impersonator=self.impersonator,
        )

    def wire(self) -> bytes:
        """The structured JSON form, without absent attributes."""
        return self.model_dump_json(exclude_none=True).encode()


def _scopes(actor: Actor | None) -> tuple[Permission, ...] | None:
    return None if actor is None or actor.scopes is None else tuple(sorted(actor.scopes))
