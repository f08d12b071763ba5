"""What has arrived for somebody becomes notifications: all of it in one unit of work.

So two hundred things at once for one user are a few changes of their inbox and not two hundred.
Each arrival sends a command, and only that of the one that waits the longest does anything. What
arrives while it does is seen by the command that it sends after its commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bus.unit_of_work import UnitOfWork
from contracts.inbox.commands import PlaceArrivals
from contracts.inbox.events import NotificationChanged, NotificationCreated, NotificationsRemoved
from contracts.types import now
from handlers.inbox.counting import Count, count_of, is_unread
from handlers.inbox.documents import Arrival, Inbox, Mark, Notification, Part, Preferences
from handlers.inbox.mailing import Mailing
from handlers.inbox.rules import SUBJECTS, default_preference, next_digest
from handlers.inbox.wording import words_of
from infra.settings import InboxSettings

AT_ONCE = 200
"""Arrivals placed by one unit of work; the others by the next."""

_AN_HOUR = timedelta(hours=1)


@dataclass(slots=True)
class _Line:
    """A notification that is changed, and what that means."""

    notification: Notification
    new: bool
    was_unread: bool
    appears: bool
    """Its owner has not been shown it before."""
    heard: bool = False
    """Something came that is no replay's."""
    instant: bool = False
    mute: bool = False


@dataclass(frozen=True, slots=True)
class Placing:
    """The handler, with what it needs to mail."""

    mailing: Mailing
    settings: InboxSettings

    async def place_arrivals(self, command: PlaceArrivals, uow: UnitOfWork) -> None:
        if command.arrival not in (None, await find_longest_waiting(command.user)):
            return
        arrivals = await waiting(command.user)
        if not arrivals:
            return
        count = await count_of(command.user)
        preferences = await Preferences.get(command.user) or Preferences(id=command.user)
        lines = await self._placed(arrivals, preferences, uow)
        for line in lines:
            self._settle(line, count)
        gone = await self._too_many(count, lines, uow)
        mailed = self._choose_mailed(lines, count.inbox)
        self._plan_digest(lines, count.inbox)
        count.stage(uow)
        gone_ids = {each.id for each in gone}
        kept = [line for line in lines if line.notification.id not in gone_ids]
        for line in kept:
            (uow.add if line.new else uow.save)(line.notification)
        _tell(kept, gone, count, uow)
        if mailed:
            await self.mailing.send(command.user, mailed, uow, daily=False)
        uow.send(PlaceArrivals(user=command.user))

    async def _placed(
        self, arrivals: Sequence[Arrival], preferences: Preferences, uow: UnitOfWork
    ) -> list[_Line]:
        ids = list({each.notification_id for each in arrivals})
        found = await Notification.find({"_id": {"$in": ids}}).to_list()
        lines = {each.id: _Line(each, False, is_unread(each), not each.shown) for each in found}
        marks = {each.id: each for each in await Mark.find({"_id": {"$in": ids}}).to_list()}
        for arrival in arrivals:
            arrival.placed = True
            uow.save(arrival)
            mark = marks.get(arrival.notification_id)
            if mark is not None and mark.removed:
                mark.removed -= 1
                uow.save(mark)
                continue
            self._place(arrival, lines, preferences, mark)
        return list(lines.values())

    def _place(
        self,
        arrival: Arrival,
        lines: dict[str, _Line],
        preferences: Preferences,
        mark: Mark | None,
    ) -> None:
        wanted = preferences.kinds.get(arrival.kind) or default_preference(arrival.kind)
        muted = arrival.organization_id in preferences.muted
        mail = "off" if muted or arrival.quiet else wanted.mail
        line = lines.get(arrival.notification_id)
        if not wanted.in_app and mail == "off":
            return
        if line is None:
            line = _Line(_made(arrival, shown=wanted.in_app), True, False, True)
            lines[arrival.notification_id] = line
        else:
            _merge(line.notification, arrival.part)
            line.notification.shown = line.notification.shown or wanted.in_app
        notification = line.notification
        notification.read_at = arrival.part.at if muted else None
        if mark is not None and mark.read_at and notification.size <= mark.read_count:
            notification.read_at = mark.read_at
        line.mute = muted
        line.heard = line.heard or not arrival.quiet
        line.instant = line.instant or mail == "instant"
        notification.to_digest = notification.to_digest or mail == "daily"

    def _settle(self, line: _Line, count: Count) -> None:
        count.add(line.notification, int(is_unread(line.notification)) - int(line.was_unread))
        count.inbox.kept += line.new

    async def _too_many(
        self, count: Count, lines: Sequence[_Line], uow: UnitOfWork
    ) -> list[Notification]:
        """Stage that the oldest go where there are too many: first those that were read."""
        over = count.inbox.kept - self.settings.kept
        if over <= 0:
            return []
        changed = {line.notification.id: line for line in lines}
        stored = {"user_id": count.inbox.id, "_id": {"$nin": list(changed)}}
        read = {**stored, "read_at": {"$ne": None}}
        gone = await Notification.find(read).sort("latest_at", "_id").limit(over).to_list()
        if len(gone) < over:
            unread = {**stored, "read_at": None}
            gone += (
                await Notification.find(unread)
                .sort("latest_at", "_id")
                .limit(over - len(gone))
                .to_list()
            )
        for each in gone:
            count.remove(each, uow)
        # More at once than are kept at all.
        new = sorted((line for line in lines if line.new), key=lambda line: line.notification.id)
        for line in new[: over - len(gone)]:
            count.add(line.notification, -int(is_unread(line.notification)))
            count.inbox.kept -= 1
            gone.append(line.notification)
        return gone

    def _choose_mailed(self, lines: Sequence[_Line], inbox: Inbox) -> list[Notification]:
        """What is mailed at once. What was unread before has been mailed before."""
        wanted = [
            line.notification
            for line in lines
            if line.instant and not line.was_unread and line.notification.read_at is None
        ]
        if not wanted:
            return []
        at = now()
        inbox.mailed = [each for each in inbox.mailed if each > at - _AN_HOUR]
        if len(inbox.mailed) >= self.settings.instant_mails:
            for each in wanted:
                each.to_digest = True
            return []
        inbox.mailed.append(at)
        return wanted

    def _plan_digest(self, lines: Sequence[_Line], inbox: Inbox) -> None:
        if inbox.digest_at is None and any(
            line.notification.to_digest and line.notification.read_at is None for line in lines
        ):
            inbox.digest_at = next_digest(now(), self.settings.digest_hour)


async def find_longest_waiting(user: str) -> str | None:
    """The first of what ``waiting`` would find, by id."""
    found = await Arrival.get_pymongo_collection().find_one(
        {"user_id": user, "placed": False},
        {"_id": 1},
        sort=[("part.at", 1), ("_id", 1)],
    )
    return None if found is None else str(found["_id"])


async def waiting(user: str) -> list[Arrival]:
    """What has arrived for a user and is not placed, the oldest first."""
    wanted = {"user_id": user, "placed": False}
    return await Arrival.find(wanted).sort("part.at", "_id").limit(AT_ONCE).to_list()


def _made(arrival: Arrival, *, shown: bool) -> Notification:
    return Notification(
        id=arrival.notification_id,
        user_id=arrival.user_id,
        organization_id=arrival.organization_id,
        kind=arrival.kind,
        parts=[arrival.part],
        latest_at=arrival.part.at,
        created_at=arrival.part.at,
        shown=shown,
    )


def _merge(notification: Notification, part: Part) -> None:
    """Throw one more in. Which are named does not depend on the order in which they come."""
    latest = sorted([*notification.parts, part], key=lambda each: (each.at, each.event_id))
    notification.parts = latest[: -SUBJECTS - 1 : -1]
    notification.size += 1
    notification.created_at = min(notification.created_at, part.at)
    notification.latest_at = max(notification.latest_at, part.at)


def _tell(
    lines: Sequence[_Line], gone: Sequence[Notification], count: Count, uow: UnitOfWork
) -> None:
    """Stage what their owner hears: each with the number that is right after all of it."""
    inbox, shown = count.inbox, [line for line in lines if line.notification.shown and line.heard]
    new = {line.notification.id for line in lines if line.new}
    stored = [each for each in gone if each.id not in new]
    if stored:
        inbox.number += 1
        counts = {each.id: each.size for each in stored}
        removed = NotificationsRemoved(
            user_id=inbox.id, counts=counts, number=inbox.number, unread=count.unread
        )
        uow.emit(removed, inbox)
    for line in sorted(shown, key=lambda line: line.notification.latest_at):
        each = line.notification
        title, text = words_of(each.kind, each.parts[0].parameters, each.size)
        kind = NotificationCreated if line.appears else NotificationChanged
        uow.emit(
            kind(
                user_id=inbox.id,
                notification_id=each.id,
                kind=each.kind,
                organization_id=each.organization_id,
                title=title,
                text=text,
                link=each.parts[0].subject.link,
                count=each.size,
                read=each.read_at is not None,
                unread=count.unread,
            ),
            inbox,
            org=each.organization_id,
        )
