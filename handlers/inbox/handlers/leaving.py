"""What goes with time, with a membership, or with an organization."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bus.unit_of_work import UnitOfWork
from contracts.inbox.commands import (
    EmptyOrganization,
    ExpireNotifications,
    LeaveOrganization,
    PlaceArrivals,
)
from contracts.inbox.types import NotificationKind
from contracts.types import now
from handlers.inbox.counting import counted
from handlers.inbox.documents import Arrival, Notification
from handlers.inbox.handlers.reading import remove

AT_ONCE = 500
INBOXES = 200
"""Inboxes that one command has emptied of an organization."""


async def leave_organization(command: LeaveOrganization, uow: UnitOfWork) -> None:
    """Remove what somebody has of an organization, but for the news that they have left it."""
    theirs = {
        "organization_id": command.organization,
        "user_id": command.user,
        "kind": {"$ne": NotificationKind.MEMBERSHIP_ENDED},
    }
    until = {"$lte": command.before}
    waiting = {**theirs, "placed": False, "part.at": until}
    passed_over = await Arrival.find(waiting).limit(AT_ONCE).to_list()
    for arrival in passed_over:
        arrival.placed = True
        uow.save(arrival)
    if passed_over:
        # Others may have waited for one of them to be placed.
        uow.send(PlaceArrivals(user=command.user))
    found = await Notification.find({**theirs, "created_at": until}).limit(AT_ONCE).to_list()
    count = await counted(command.user)
    if count is not None and found:
        remove(found, count, uow)
    if AT_ONCE in (len(found), len(passed_over)):
        uow.send(command)


async def empty_organization(command: EmptyOrganization, uow: UnitOfWork) -> None:
    """Have every inbox emptied of an organization that is gone."""
    behind = {"user_id": {"$gt": command.after or ""}}
    found = await Notification.get_pymongo_collection().aggregate(
        [
            {"$match": {"organization_id": command.organization, **behind}},
            {"$group": {"_id": "$user_id"}},
            {"$sort": {"_id": 1}},
            {"$limit": INBOXES},
        ]
    )
    users: list[str] = [each["_id"] async for each in found]
    waiting = Arrival.find({"placed": False, "organization_id": command.organization, **behind})
    users = sorted({*users, *await waiting.distinct("user_id")})[:INBOXES]
    for user in users:
        uow.send(
            LeaveOrganization(user=user, organization=command.organization, before=command.before)
        )
    if len(users) == INBOXES:
        uow.send(command.model_copy(update={"after": users[-1]}))


@dataclass(frozen=True, slots=True)
class Expiry:
    """The handler, with how many days a notification is kept."""

    days: int

    async def expire_notifications(self, command: ExpireNotifications, uow: UnitOfWork) -> None:
        old = {"user_id": command.user, "latest_at": {"$lt": now() - timedelta(days=self.days)}}
        found = await Notification.find(old).sort("latest_at").limit(AT_ONCE).to_list()
        count = await counted(command.user)
        if count is not None and found:
            remove(found, count, uow)
