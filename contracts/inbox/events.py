"""What has happened in an inbox: shown to its owner alone.

``unread`` is how many there are after it, and ``revision`` of the envelope counts all changes
of one inbox: whoever has heard the greatest knows the number.
"""

from __future__ import annotations

from pydantic import Field

from contracts.base import Event
from contracts.inbox.types import NotificationKind, Preference
from contracts.types import Id, Instant

_UNREAD = Field(description="Unread notifications after it, of all organizations.")
_NUMBER = Field(description="Counts what the owner has done; what a replay goes by.")


class NotificationCreated(Event):
    """Somebody has one notification more."""

    wire = "inbox.notification.created"
    subject = "user_id"
    private = True

    user_id: Id
    notification_id: Id
    kind: NotificationKind
    organization_id: Id | None = None
    title: str
    text: str
    link: str | None = None
    count: int = 1
    read: bool = Field(False, description="True where its organization is muted.")
    unread: int = _UNREAD


class NotificationChanged(Event):
    """More was thrown together in a notification, which is unread again."""

    wire = "inbox.notification.changed"
    subject = "user_id"
    private = True

    user_id: Id
    notification_id: Id
    kind: NotificationKind
    organization_id: Id | None = None
    title: str
    text: str
    link: str | None = None
    count: int = 1
    read: bool = Field(False, description="True where its organization is muted.")
    unread: int = _UNREAD


class NotificationsRead(Event):
    """Notifications were marked as read, or as not read yet."""

    wire = "inbox.notifications.read"
    subject = "user_id"
    private = True

    user_id: Id
    counts: dict[str, int] = Field(description="Of each, by id, how many were in it by then.")
    read: bool = Field(True, description="False: they are marked as not read.")
    at: Instant
    number: int = _NUMBER
    unread: int = _UNREAD


class NotificationsRemoved(Event):
    """Notifications are gone: their owner removed them, or they were too old or too many."""

    wire = "inbox.notifications.removed"
    subject = "user_id"
    private = True

    user_id: Id
    counts: dict[str, int] = Field(description="Of each, by id, how many were in it by then.")
    number: int = _NUMBER
    unread: int = _UNREAD


class PreferencesChanged(Event):
    """Somebody wants to be notified otherwise."""

    wire = "inbox.preferences.changed"
    subject = "user_id"
    private = True

    user_id: Id
    kinds: dict[NotificationKind, Preference] = Field(description="Those that are chosen.")
    muted: tuple[Id, ...] = ()
    number: int = _NUMBER
