"""Routes of one's inbox."""

from __future__ import annotations

from bus.paging import Page
from contracts.inbox.commands import (
    DeleteNotification,
    ReadNotification,
    ReadNotifications,
    UnreadNotification,
    UpdatePreferences,
)
from contracts.inbox.views import NotificationView, PreferencesView, UnreadView
from gateway.table import Access, Route, command, query
from handlers.inbox.queries import (
    get_notification,
    get_notification_preferences,
    get_unread_notifications,
    list_notifications,
)

SIGNED_IN = Access.SIGNED_IN
INBOX = "/v1/me/notifications"
ONE = INBOX + "/{notification}"
PREFERENCES = INBOX + "/preferences"

NOTIFICATIONS: list[Route] = [
    query(INBOX, list_notifications, allow=SIGNED_IN, answers=Page[NotificationView]),
    query(INBOX + "/unread", get_unread_notifications, allow=SIGNED_IN, answers=UnreadView),
    command("POST", INBOX + "/read", ReadNotifications, allow=SIGNED_IN, answers=UnreadView),
    query(PREFERENCES, get_notification_preferences, allow=SIGNED_IN, answers=PreferencesView),
    command("PATCH", PREFERENCES, UpdatePreferences, allow=SIGNED_IN, answers=PreferencesView),
    query(ONE, get_notification, allow=SIGNED_IN, answers=NotificationView),
    command("DELETE", ONE, DeleteNotification, allow=SIGNED_IN),
    command("POST", ONE + "/read", ReadNotification, allow=SIGNED_IN, answers=NotificationView),
    command("POST", ONE + "/unread", UnreadNotification, allow=SIGNED_IN, answers=NotificationView),
]
