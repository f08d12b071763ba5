"""Members: one function per command."""

from __future__ import annotations

from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.corp.commands import AddMember, ChangeMember, RemoveMember
from contracts.corp.errors import AlreadyMember, InvitationNeeded, UserUnknown
from contracts.corp.events import MemberAdded, MemberRemoved
from contracts.corp.views import MemberView
from contracts.permissions import Permission, Role
from handlers.corp.documents import Membership, Organization, Person
from handlers.corp.handlers.loading import (
    load_member,
    load_organization,
    new_membership,
    wait_for_projection,
)
from handlers.corp.handlers.standing import leave_everything, settle, standings_of
from handlers.corp.queries import member_view, membership_id
from handlers.corp.rules import check_gives, check_owner_remains


@dataclass(frozen=True, slots=True)
class Members:
    """The commands about members."""

    direct: bool
    """Whether a registered user may be made a member without being asked."""

    async def add_member(self, command: AddMember, uow: UnitOfWork) -> MemberView:
        if not self.direct:
            # Whatever else is wrong, so that nobody learns here who is registered.
            raise InvitationNeeded()
        check_gives(uow.actor, command.role)
        person = await Person.find_one({"email": command.email})
        if person is None:
            wait_for_projection(uow)
            raise UserUnknown()
        if await Membership.get(membership_id(uow.org, person.id)) is not None:
            raise AlreadyMember()
        if uow.rerun:
            await load_organization(uow)
        uow.hold_id(Organization, uow.org)
        member = new_membership(uow.org, person, command.role)
        uow.add(member)
        uow.emit(MemberAdded(user_id=person.id, role=command.role), member)
        return member_view(member)


async def change_member(command: ChangeMember, uow: UnitOfWork) -> MemberView:
    member = await load_member(command.user, uow)
    check_revision(member, command.if_revision)
    check_gives(uow.actor, member.role, command.role)
    if command.role is not Role.OWNER:
        await _keep_an_owner(member, uow)
    member.role = command.role
    settle([member], await standings_of([member], uow), uow, changed=True)
    return member_view(member)


async def remove_member(command: RemoveMember, uow: UnitOfWork) -> None:
    member = await load_member(command.user, uow)
    check_revision(member, command.if_revision)
    if member.user_id != uow.actor.user:
        uow.actor.require(Permission.MEMBER_WRITE)
        check_gives(uow.actor, member.role)
    await _keep_an_owner(member, uow)
    await leave_everything(member, uow)
    uow.remove(member)
    uow.emit(MemberRemoved(user_id=member.user_id), member)


async def _keep_an_owner(member: Membership, uow: UnitOfWork) -> None:
    owners = await Membership.find({"organization_id": uow.org, "role": Role.OWNER}).to_list()
    check_owner_remains(member.role, len(owners))
    if member.role is Role.OWNER:
        # Two owners leaving at once would each see the other stay.
        for other in owners:
            if other.id != member.id:
                uow.hold(other)
