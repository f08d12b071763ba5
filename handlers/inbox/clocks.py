"""What the inbox does because time has passed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from bus.documents import Aggregate
from contracts.base import Command
from contracts.inbox.commands import ExpireNotifications, PlaceArrivals, SendDigest
from contracts.types import now
from handlers.clocks import Clock
from handlers.inbox.documents import Arrival, Inbox, Notification
from infra.settings import InboxSettings

LOOKED_AT = 2000
"""Documents looked at by one ring; the others by the next."""
LATE = timedelta(seconds=1)
"""Whatever waits for longer was sent no command, by a replay, or one that Redis has lost."""


def clocks_of(settings: InboxSettings) -> tuple[Clock, ...]:
    async def arrivals() -> Sequence[Command]:
        late = {"placed": False, "created_at": {"$lt": now() - LATE}}
        return [PlaceArrivals(user=each) for each in await _of(Arrival, late, "user_id")]

    async def digests() -> Sequence[Command]:
        due = {"digest_at": {"$lte": now()}}
        return [SendDigest(user=each) for each in await _of(Inbox, due, "_id")]

    async def old() -> Sequence[Command]:
        before = {"latest_at": {"$lt": now() - timedelta(days=settings.days)}}
        return [
            ExpireNotifications(user=each) for each in await _of(Notification, before, "user_id")
        ]

    return (
        Clock("inbox.arrivals", 1.0, arrivals),
        Clock("inbox.digests", 15.0, digests),
        Clock("inbox.expiry", 300.0, old),
    )


async def _of(documents: type[Aggregate], wanted: dict[str, Any], user: str) -> list[str]:
    """The users whom some documents belong to, each once."""
    found = documents.get_pymongo_collection().find(wanted, {user: 1}).limit(LOOKED_AT)
    return list(dict.fromkeys([each[user] async for each in found]))
