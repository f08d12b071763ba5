"""One dead letter: what it says, which are wanted, and what its message would be when edited.

An edit is checked against its contract, which must be declared: a caller imports
``contracts.catalog``.
"""

from __future__ import annotations

import fnmatch
import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from bus import streams
from bus.broker import FIELD, decode
from contracts.base import Message
from contracts.envelope import Envelope
from contracts.sealed import OPEN

EDITS = b"edits"
"""The field that says what operators changed: ``by``, ``at`` and ``changed`` of each edit."""
ORIGINAL = b"original"
ORIGINAL_DATA = b"original_data"
"""Entry and bytes of the letter that was edited first."""


class EditRefused(ValueError):
    """The edited data does not fit its contract, or there is nothing that could be edited."""


class NotRedrivable(ValueError):
    """The letter does not say what message it was, or where it came from."""


@dataclass(frozen=True)
class DeadLetter:
    """One letter; ``entry`` is its id in the dead-letter stream of ``domain``."""

    domain: str
    entry: str
    fields: dict[bytes, bytes]

    @property
    def id(self) -> str:
        """``{domain}/{entry}``: what an operator names it by."""
        return f"{self.domain}/{self.entry}"

    def text(self, name: str) -> str:
        """A field of the letter; empty when it has none."""
        return self.fields.get(name.encode(), b"").decode(errors="replace")

    @property
    def body(self) -> bytes:
        """The message as it lay on its stream; empty when the entry had none."""
        return self.fields.get(FIELD.encode(), b"")

    @cached_property
    def envelope(self) -> Envelope | None:
        """The message; None when it cannot be decoded."""
        try:
            return Envelope.model_validate_json(decode(self.fields))
        except ValueError:
            return None

    @cached_property
    def edits(self) -> list[dict[str, Any]]:
        """Who changed the message, when, and the names of the fields; oldest first."""
        try:
            found = json.loads(self.fields.get(EDITS, b"[]"))
        except ValueError:
            return []
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    @property
    def type(self) -> str:
        """The message's wire type; empty when it cannot be decoded."""
        return self.envelope.type if self.envelope is not None else ""

    def target(self) -> str:
        """The stream it goes back to: a command's own, else the one that only its group reads.

        Raises NotRedrivable.
        """
        stream, group = self.text("stream"), self.text("group")
        if not self.body or not stream or group != self.domain:
            raise NotRedrivable(f"{self.id} does not hold a message that could be sent again")
        if stream in (streams.commands(group), streams.commands(group, "slow")):
            return stream
        return streams.replay(group)

    def summary(self) -> dict[str, Any]:
        """What a list shows."""
        return {
            "id": self.id,
            "at": self.text("at"),
            "type": self.type,
            "message": self.envelope.id if self.envelope is not None else None,
            "org": self.envelope.org if self.envelope is not None else None,
            "group": self.text("group"),
            "stream": self.text("stream"),
            "handler": self.text("handler"),
            "attempts": int(self.text("attempts") or 0),
            "reason": self.text("reason"),
            "edited_by": self.edits[-1].get("by") if self.edits else None,
        }

    def whole(self) -> dict[str, Any]:
        """Everything, as JSON; sealed values are the ciphertext they were sent as."""
        envelope = (
            self.envelope.model_dump(mode="json", exclude_none=True) if self.envelope else None
        )
        return {
            **self.summary(),
            "entry": self.text("entry"),
            "edits": self.edits,
            "original": self.text("original") or None,
            "envelope": envelope,
            "undecodable": None if self.envelope else repr(self.body or self.text("raw"))[:8000],
            "traceback": self.text("traceback"),
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters; what is None does not matter.

    ``reason`` is a part of the reason, in either case; ``type`` may hold ``*``.
    """

    reason: str | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether the letter is one of them."""
        if self.reason is not None and self.reason.lower() not in letter.text("reason").lower():
            return False
        if self.type is not None and not fnmatch.fnmatchcase(letter.type, self.type):
            return False
        if self.since is None and self.until is None:
            return True
        at = _instant(letter)
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def edited(letter: DeadLetter, data: Any) -> Envelope:
    """The letter's message with other data. Sealed values must be the ciphertext of some message.

    Raises EditRefused, naming each field that is wrong, never its value.
    """
    envelope = letter.envelope
    if envelope is None:
        raise EditRefused(f"{letter.id} cannot be decoded, so it has no data to edit")
    if not isinstance(data, dict):
        raise EditRefused("data must be a JSON object")
    contract = Message.of_wire(envelope.type, envelope.dataversion)
    if contract is None and not envelope.type.startswith("custom."):
        raise EditRefused(f"{envelope.type} version {envelope.dataversion} is no known contract")
    if contract is not None:
        try:
            contract.model_validate(data, context=OPEN)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, each['loc'])) or 'data'}: {each['msg']}"
                for each in error.errors(include_input=False, include_url=False)
            )
            raise EditRefused(wrong) from error
    return envelope.model_copy(update={"data": data})


def _instant(letter: DeadLetter) -> datetime:
    """When it was given up; what has no such field was not written by us, and is as old as time."""
    try:
        return datetime.fromisoformat(letter.text("at"))
    except ValueError:
        return datetime.fromisoformat("0001-01-01T00:00:00+00:00")
