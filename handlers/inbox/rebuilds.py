"""What the inbox does with its own events when a replay feeds them to it.

A replay makes notifications anew of other domains' events; what their owners did with them is
in these. The two come in any order, so what is not made yet is marked, and found so later. The
events of one user come in their order: ``number`` tells which the inbox has come to already.
"""

from __future__ import annotations

from datetime import timedelta

from bus.unit_of_work import UnitOfWork
from contracts.inbox.events import NotificationsRead, NotificationsRemoved, PreferencesChanged
from contracts.types import now
from handlers.inbox.counting import count_of, is_unread
from handlers.inbox.documents import Mark, Notification, Preferences

MARKED_FOR = timedelta(days=30)


async def mark_again(event: NotificationsRead, uow: UnitOfWork) -> None:
    """Let what was read be so, unless more has come since."""
    count = await count_of(event.user_id)
    if event.number <= count.inbox.number:
        return
    count.inbox.number = event.number
    found = {each.id: each for each in await _found(event.counts, event.user_id)}
    for id, number in event.counts.items():
        notification = found.get(id)
        if notification is None or notification.size < number:
            mark, new = await _mark(id)
            mark.read_count, mark.read_at = (number, event.at) if event.read else (0, None)
            (uow.add if new else uow.save)(mark)
        if notification is not None and notification.size <= number:
            before = is_unread(notification)
            notification.read_at = event.at if event.read else None
            count.add(notification, int(is_unread(notification)) - int(before))
            uow.save(notification)
    count.stage(uow)


async def remove_again(event: NotificationsRemoved, uow: UnitOfWork) -> None:
    """Let what was removed be gone, and not what has come since."""
    count = await count_of(event.user_id)
    if event.number <= count.inbox.number:
        return
    count.inbox.number = event.number
    found = {each.id: each for each in await _found(event.counts, event.user_id)}
    for id, number in event.counts.items():
        notification = found.get(id)
        if notification is not None and notification.size > number:
            notification.size -= number
            uow.save(notification)
            continue
        missing = number - (notification.size if notification is not None else 0)
        if notification is not None:
            count.remove(notification, uow)
        if missing:
            mark, new = await _mark(id)
            mark.removed += missing
            (uow.add if new else uow.save)(mark)
    count.stage(uow)


async def choose_again(event: PreferencesChanged, uow: UnitOfWork) -> None:
    """Let the preferences be as they were chosen last."""
    found = await Preferences.get(event.user_id)
    if found is not None and event.number <= found.number:
        return
    preferences = found or Preferences(id=event.user_id, revision=2)
    preferences.kinds, preferences.muted = dict(event.kinds), list(event.muted)
    preferences.number = event.number
    (uow.save if found is not None else uow.add)(preferences)


async def _found(counts: dict[str, int], user: str) -> list[Notification]:
    wanted = {"_id": {"$in": list(counts)}, "user_id": user}
    return await Notification.find(wanted).to_list()


async def _mark(id: str) -> tuple[Mark, bool]:
    found = await Mark.get(id)
    return found or Mark(id=id, forget_at=now() + MARKED_FOR), found is None
