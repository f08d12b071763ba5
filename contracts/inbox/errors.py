"""How the inbox refuses."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class NotificationNotFound(DomainError):
    code = "inbox.notification_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such notification"


class SelectionUnclear(DomainError):
    code = "inbox.selection_unclear"
    kind = ErrorKind.INVALID
    title = "Name ids, or everything, or a time before which"
