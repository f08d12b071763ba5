"""Events as the log keeps them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.envelope import Envelope
from contracts.types import made_at


def event_document(envelope: Envelope) -> dict[str, Any]:
    """An event as the log keeps it: its envelope, with the id as ``_id``.

    The committer adds ``logged``, the order of the feed (see feed/log.py): microseconds since
    1970 at its transaction, counted up within it.
    """
    document = envelope.model_dump(mode="python", exclude_none=True)
    document["_id"] = document.pop("id")
    if "role" in document:
        document["role"] = str(document["role"])
    return document


def logged_event(document: dict[str, Any]) -> Envelope:
    """The envelope of an event from the log."""
    return Envelope.model_validate({**document, "id": document["_id"]})


def published_at(event: Envelope) -> datetime:
    """About when it was published. The time of an internal producer's event is the producer's own."""
    try:
        return max(event.time, made_at(event.id))
    except ValueError:
        return event.time
