"""Reads of one's inbox. Every one takes the actor first, and shows nothing but theirs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from bus.paging import Keyset, Page, sorted_page
from contracts.actor import Actor
from contracts.inbox.errors import NotificationNotFound
from contracts.inbox.types import NotificationKind
from contracts.inbox.views import NotificationView, PreferencesView, UnreadView
from contracts.types import Id
from handlers.inbox.documents import Inbox, Notification, Preferences
from handlers.inbox.rules import default_preference
from handlers.inbox.wording import words_of

LatestSort = Literal["latest_at", "-latest_at"]


class NotificationCursor(Keyset):
    """Of notifications: by when the last of what is in them happened."""

    sort: Annotated[LatestSort, Field(description="A minus sign puts the latest first.")] = (
        "-latest_at"
    )


def notification_view(notification: Notification) -> NotificationView:
    """A notification as its owner sees it."""
    latest = notification.parts[0]
    title, text = words_of(notification.kind, latest.parameters, notification.size)
    return NotificationView(
        id=notification.id,
        organization_id=notification.organization_id,
        kind=notification.kind,
        title=title,
        text=text,
        parameters=latest.parameters,
        event_type=latest.event_type,
        subjects=tuple(each.subject for each in notification.parts),
        link=latest.subject.link,
        actor=latest.actor,
        count=notification.size,
        created_at=notification.created_at,
        latest_at=notification.latest_at,
        read_at=notification.read_at,
        revision=notification.revision,
    )


def unread_view(inbox: Inbox) -> UnreadView:
    """How many are unread, by the inbox itself."""
    return UnreadView(
        count=sum(inbox.unread.values()), by_org=dict(inbox.unread), revision=inbox.revision
    )


def preferences_view(preferences: Preferences) -> PreferencesView:
    """What is chosen, and for the rest what holds by itself."""
    return PreferencesView(
        kinds={
            kind: preferences.kinds.get(kind) or default_preference(kind)
            for kind in NotificationKind
        },
        muted=tuple(preferences.muted),
        revision=preferences.revision,
    )


async def list_notifications(
    actor: Actor,
    cursor: NotificationCursor,
    unread: Annotated[
        bool | None, Field(description="Only what is not read yet, or only what is.")
    ] = None,
    kind: NotificationKind | None = None,
    org: Annotated[Id | None, Field(description="Only of this organization.")] = None,
) -> Page[NotificationView]:
    """One's notifications, the latest first."""
    wanted: dict[str, Any] = {"user_id": actor.user, "shown": True}
    if unread is not None:
        wanted["read_at"] = None if unread else {"$ne": None}
    if kind is not None:
        wanted["kind"] = kind
    if org is not None:
        wanted["organization_id"] = org
    return await sorted_page(
        Notification,
        wanted,
        cursor,
        notification_view,
        by={"latest_at": "latest_at"},
        meaning={"unread": unread, "kind": kind, "org": org},
    )


async def get_notification(actor: Actor, notification: str) -> NotificationView:
    """One of one's notifications. Raises NotificationNotFound."""
    found = await Notification.get(notification)
    if found is None or found.user_id != actor.user or not found.shown:
        raise NotificationNotFound()
    return notification_view(found)


async def get_unread_notifications(actor: Actor) -> UnreadView:
    """How many of one's notifications are unread, in all and by organization."""
    return unread_view(await Inbox.get(actor.user) or Inbox(id=actor.user))


async def get_notification_preferences(actor: Actor) -> PreferencesView:
    """How one is notified of each kind."""
    return preferences_view(await Preferences.get(actor.user) or Preferences(id=actor.user))
