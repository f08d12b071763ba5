"""What every stored document has, and the collections the bus keeps for itself."""

from __future__ import annotations

import contextlib
from typing import Any

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from contracts.types import Instant, now

Database = AsyncDatabase[dict[str, Any]]

INBOX = "inbox"
"""One document per (group, message) handled, with a command's outcome."""
EVENTS = "events"
"""The event log: append-only, and the outbox of events."""
OUTBOX = "outbox"
"""One document per transaction whose messages may not have been published yet, or, where it
is marked ``sent``, whose commands may not have been handled yet."""
RELAY_STATE = "relay_state"
"""How far everybody had processed everything; see recovery/."""
REPLAYS = "replays"
"""Each replay: who began it, of what, and how far it got."""

PUSHES = "pushes"
"""What was pushed, by scope and in its order; see feed/archive.py."""
PUSH_ARCHIVE = "push_archive"
"""How far each push stream has been copied into it."""

FEED_ORDER = [("org", ASCENDING), ("logged", ASCENDING), ("_id", ASCENDING)]
"""The index in whose order an organization's events are shown."""

_BY_LOG = [("logged", ASCENDING), ("_id", ASCENDING)]
AUDIT_INDEXES: list[tuple[list[tuple[str, int]], dict[str, Any]]] = [
    ([("org", ASCENDING), ("actor", ASCENDING), *_BY_LOG], {"name": "by_actor"}),
    ([("org", ASCENDING), ("type", ASCENDING), *_BY_LOG], {"name": "by_kind"}),
    (
        [("data.user_id", ASCENDING), *_BY_LOG],
        {"name": "of_user", "partialFilterExpression": {"data.user_id": {"$exists": True}}},
    ),
]
"""By whom, of what kind, and about which user: see audit.py."""

INBOX_DAYS = 8
"""Longer than any redelivery, and than the 24 h an Idempotency-Key is kept."""


class Aggregate(Document):
    """A document with an id of ours and a revision that counts its changes."""

    id: str  # type: ignore[assignment]
    revision: int = 1
    held: int = 0
    """Counts the units of work that held it: it cannot be removed by who has not seen them."""
    created_at: Instant = Field(default_factory=now)
    updated_at: Instant = Field(default_factory=now)


async def ensure_bus_indexes(database: Database) -> None:
    """Create the indexes of inbox, event log, outbox and the archive of pushes."""
    await database[INBOX].create_indexes(
        [IndexModel([("at", ASCENDING)], expireAfterSeconds=INBOX_DAYS * 86400, name="expiry")]
    )
    await database[OUTBOX].create_indexes(
        [IndexModel([("sent", ASCENDING), ("at", ASCENDING)], name="unsent")]
    )
    await database[PUSHES].create_indexes(
        [
            IndexModel([("lane", ASCENDING), ("last", ASCENDING)], name="by_lane"),
            IndexModel([("expires", ASCENDING)], expireAfterSeconds=0, name="expiry"),
        ]
    )
    await database[EVENTS].create_indexes(
        [
            IndexModel(FEED_ORDER, name="by_logged"),
            IndexModel([("type", ASCENDING), ("time", DESCENDING)], name="by_type"),
            IndexModel(
                [("org", ASCENDING), ("subject", ASCENDING), ("_id", ASCENDING)], name="by_subject"
            ),
            IndexModel([("time", ASCENDING)], name="by_time"),
            *(IndexModel(keys, **options) for keys, options in AUDIT_INDEXES),
        ]
    )
    with contextlib.suppress(OperationFailure):  # it is only where an older version made it
        await database[EVENTS].drop_index("feed")
