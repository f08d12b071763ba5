"""Which events an organization is shown, and what of each: one rule for sockets and feed."""

from __future__ import annotations

import contracts.catalog
from contracts.base import Event
from contracts.envelope import Envelope

assert contracts.catalog, "every contract must be declared before `private` is looked up"

HIDDEN = {"address", "replyto", "role", "scopes", "session", "traceparent"}
"""Attributes that are none of a client's business."""


def is_private(envelope: Envelope) -> bool:
    """Whether the organization of an event must not see it.

    An event of an unknown contract may be private for all we know, unless an internal
    producer made it (``custom.*``).
    """
    if envelope.type.startswith("custom."):
        return False
    contract = Event.of_wire(envelope.type, envelope.dataversion)
    return contract is None or contract.private


def public_json(envelope: Envelope) -> bytes:
    """The CloudEvent as clients see it, in one line."""
    return envelope.model_dump_json(exclude_none=True, exclude=HIDDEN).encode()
