"""One function per command: load, decide, stage."""

from __future__ import annotations

from handlers.inbox.handlers.digests import Digests
from handlers.inbox.handlers.leaving import (
    Expiry,
    empty_organization,
    leave_organization,
)
from handlers.inbox.handlers.placing import Placing
from handlers.inbox.handlers.preferring import update_preferences
from handlers.inbox.handlers.reading import (
    delete_notification,
    read_notification,
    read_notifications,
    unread_notification,
)

__all__ = [
    "Digests",
    "Expiry",
    "Placing",
    "delete_notification",
    "empty_organization",
    "leave_organization",
    "read_notification",
    "read_notifications",
    "unread_notification",
    "update_preferences",
]
