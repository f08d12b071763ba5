"""What the inbox does because of other domains' events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bus.unit_of_work import UnitOfWork
from contracts.base import Event
from contracts.corp.events import MemberRemoved, OrganizationDeleted
from contracts.inbox.commands import EmptyOrganization, LeaveOrganization, PlaceArrivals
from contracts.inbox.types import Parameters
from contracts.types import derived_id, now
from handlers.inbox.documents import Arrival, Part
from handlers.inbox.rules import RULES, Limits, Notice, happened_at, notification_id
from handlers.people import Directory
from infra.settings import InboxSettings

FORGOTTEN_AFTER = timedelta(days=2)
"""An arrival is kept so much longer than what it has become."""


@dataclass(frozen=True, slots=True)
class Reactions:
    """The reactions, with who knows who is a member."""

    directory: Directory
    settings: InboxSettings

    async def notify_whom_it_concerns(self, event: Event, uow: UnitOfWork) -> None:
        """Note, for each user whom the event concerns, that it has happened: at most once.

        The notifications are made of these by another unit of work, user by user. In a replay,
        which drops commands, a clock begins that.
        """
        envelope = uow.message
        limits = Limits(slow=timedelta(seconds=self.settings.slow))
        notice = RULES[type(event)](event, envelope, limits)
        at = happened_at(envelope)
        if notice is None or at < now() - timedelta(days=self.settings.days):
            return
        users = await self._users(notice, at, uow)
        ids = {derived_id("arr", envelope.id, f"{user} {notice.kind}"): user for user in users}
        if uow.rerun or uow.replay:
            known = await Arrival.find({"_id": {"$in": list(ids)}}).to_list()
            for each in known:
                ids.pop(each.id, None)
        if not ids:
            return
        part = Part(
            event_id=envelope.id,
            event_type=envelope.type,
            at=at,
            subject=notice.subject,
            actor=envelope.actor,
            parameters=await self._parameters(notice, uow),
        )
        window = timedelta(seconds=self.settings.window)
        for id, user in ids.items():
            uow.add(
                Arrival(
                    id=id,
                    user_id=user,
                    organization_id=envelope.org,
                    notification_id=notification_id(envelope, notice, user, window),
                    kind=notice.kind,
                    part=part,
                    quiet=not uow.outside,
                    forget_at=at + timedelta(days=self.settings.days) + FORGOTTEN_AFTER,
                )
            )
            uow.send(PlaceArrivals(user=user, arrival=id))

    async def part_from_the_organization(self, event: MemberRemoved, uow: UnitOfWork) -> None:
        await self.notify_whom_it_concerns(event, uow)
        uow.send(
            LeaveOrganization(user=event.user_id, organization=uow.org, before=uow.message.time)
        )

    async def _users(self, notice: Notice, at: datetime, uow: UnitOfWork) -> Sequence[str]:
        """Whom a notice is for. Who came after it happened, a replay does not tell."""
        org = uow.message.org
        users = dict.fromkeys(each for each in notice.users if each and each.startswith("usr_"))
        if not notice.outsiders:
            if org is None:
                return ()
            members = await self.directory.members(org, list(users)) if users else []
            if notice.staff:
                members += await self.directory.staff(org)
            users = dict.fromkeys(each.user for each in members if each.since <= at)
        elif notice.invitation is not None and org is not None:
            invited = await self.directory.invited(org, notice.invitation)
            users = {**users, **({invited: None} if invited else {})}
        by_themselves = uow.message.impersonator is None and not notice.to_actor
        return [user for user in users if not (by_themselves and user == uow.message.actor)]

    async def _parameters(self, notice: Notice, uow: UnitOfWork) -> Parameters:
        """What the words name, with the names of organization and actor as they are now."""
        org, actor = uow.message.org, uow.message.actor
        names: Parameters = {}
        if org is not None:
            names["organization"] = await self.directory.organization(org) or ""
            if actor is not None and actor.startswith("usr_"):
                found = await self.directory.members(org, [actor])
                names["actor"] = found[0].name if found else ""
        return {**{name: value for name, value in names.items() if value}, **notice.parameters}


async def empty_the_inboxes(event: OrganizationDeleted, uow: UnitOfWork) -> None:
    uow.send(EmptyOrganization(organization=event.organization_id, before=uow.message.time))
