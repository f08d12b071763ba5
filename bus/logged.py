"""Events as the log keeps them."""

from __future__ import annotations

from typing import Any

from contracts.envelope import Envelope


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
