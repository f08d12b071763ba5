"""Keeping count: how many notifications an inbox has, and how many of each organization are unread."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from handlers.inbox.documents import Inbox, Notification

ACCOUNT = "account"


def of(notification: Notification) -> str:
    """Under what it is counted."""
    return notification.organization_id or ACCOUNT


def is_unread(notification: Notification) -> bool:
    return notification.shown and notification.read_at is None


class Count:
    """One inbox, as a unit of work changes it."""

    def __init__(self, inbox: Inbox, *, new: bool) -> None:
        self.inbox = inbox
        self._new = new

    @property
    def unread(self) -> int:
        """Of all organizations."""
        return sum(self.inbox.unread.values())

    def add(self, notification: Notification, number: int) -> None:
        """Count so many more unread ones, or fewer, as this one."""
        if not number:
            return
        key = of(notification)
        left = max(0, self.inbox.unread.get(key, 0) + number)
        if left:
            self.inbox.unread[key] = left
        else:
            self.inbox.unread.pop(key, None)

    def remove(self, notification: Notification, uow: UnitOfWork) -> None:
        """Stage that a notification is gone."""
        self.add(notification, -int(is_unread(notification)))
        self.inbox.kept = max(0, self.inbox.kept - 1)
        uow.remove(notification)

    def stage(self, uow: UnitOfWork) -> None:
        """Stage the inbox: before the events that carry its revision."""
        if self._new:
            # Who has none is answered with revision 1.
            self.inbox.revision = 2
            uow.add(self.inbox)
            self._new = False
        else:
            uow.save(self.inbox)


async def count_of(user: str) -> Count:
    """The inbox of a user, or a new one."""
    found = await Inbox.get(user)
    return Count(found or Inbox(id=user), new=found is None)


async def counted(user: str) -> Count | None:
    """The inbox of a user, if they have one."""
    found = await Inbox.get(user)
    return None if found is None else Count(found, new=False)
