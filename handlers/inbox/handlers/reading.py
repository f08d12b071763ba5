"""Marking notifications as read, and removing them: only ever one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.inbox.commands import (
    DeleteNotification,
    ReadNotification,
    ReadNotifications,
    UnreadNotification,
)
from contracts.inbox.errors import NotificationNotFound, SelectionUnclear
from contracts.inbox.events import NotificationsRead, NotificationsRemoved
from contracts.inbox.views import NotificationView, UnreadView
from contracts.types import now
from handlers.inbox.counting import Count, count_of, is_unread
from handlers.inbox.documents import Notification
from handlers.inbox.queries import notification_view, unread_view


async def read_notification(command: ReadNotification, uow: UnitOfWork) -> NotificationView:
    notification = await _own(command.notification, uow)
    if is_unread(notification):
        _mark([notification], await count_of(uow.actor.user), uow, read=True)
    return notification_view(notification)


async def unread_notification(command: UnreadNotification, uow: UnitOfWork) -> NotificationView:
    notification = await _own(command.notification, uow)
    if not is_unread(notification):
        _mark([notification], await count_of(uow.actor.user), uow, read=False)
    return notification_view(notification)


async def read_notifications(command: ReadNotifications, uow: UnitOfWork) -> UnreadView:
    user = uow.actor.user
    given = command.model_fields_set & {"ids", "everything", "before"}
    if len(given) != 1 or command.everything is False:
        raise SelectionUnclear("Name one of ids, everything (true) and before.")
    wanted: dict[str, Any] = {"user_id": user, "read_at": None, "shown": True}
    if "ids" in given:
        wanted["_id"] = {"$in": list(command.ids)}
    elif "before" in given:
        wanted["latest_at"] = {"$lt": command.before}
    if command.organization_id is not None:
        wanted["organization_id"] = command.organization_id
    found = await Notification.find(wanted).sort("_id").to_list()
    count = await count_of(user)
    if found:
        _mark(found, count, uow, read=True)
    return unread_view(count.inbox)


async def delete_notification(command: DeleteNotification, uow: UnitOfWork) -> None:
    notification = await _own(command.notification, uow)
    check_revision(notification, command.if_revision)
    remove([notification], await count_of(uow.actor.user), uow)


def remove(notifications: Sequence[Notification], count: Count, uow: UnitOfWork) -> None:
    """Stage that notifications of one inbox are gone, and that its owner hears it."""
    for each in notifications:
        count.remove(each, uow)
    count.inbox.number += 1
    count.stage(uow)
    uow.emit(
        NotificationsRemoved(
            user_id=count.inbox.id,
            counts={each.id: each.size for each in notifications},
            number=count.inbox.number,
            unread=count.unread,
        ),
        count.inbox,
    )


def _mark(
    notifications: Sequence[Notification], count: Count, uow: UnitOfWork, *, read: bool
) -> None:
    at = now()
    for each in notifications:
        each.read_at = at if read else None
        if read:
            each.to_digest = False
        count.add(each, -1 if read else 1)
        uow.save(each)
    count.inbox.number += 1
    count.stage(uow)
    uow.emit(
        NotificationsRead(
            user_id=count.inbox.id,
            counts={each.id: each.size for each in notifications},
            read=read,
            at=at,
            number=count.inbox.number,
            unread=count.unread,
        ),
        count.inbox,
    )


async def _own(notification: str, uow: UnitOfWork) -> Notification:
    found = await Notification.get(notification)
    if found is None or found.user_id != uow.actor.user or not found.shown:
        raise NotificationNotFound()
    return found
