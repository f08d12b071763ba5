"""Invitations: one function per command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.actor import PermissionMissing
from contracts.corp.commands import (
    AcceptInvitation,
    CreateInvitation,
    ResendInvitation,
    RevokeInvitation,
)
from contracts.corp.errors import (
    AlreadyInvited,
    AlreadyMember,
    InvitationNotFound,
    InvitationSentLately,
)
from contracts.corp.events import (
    InvitationAccepted,
    InvitationCreated,
    InvitationResent,
    InvitationRevoked,
    MemberAdded,
    TeamMemberAdded,
)
from contracts.corp.views import InvitationView, MembershipView
from contracts.mail.commands import SendMail
from contracts.mail.types import MailTemplate
from contracts.permissions import Role
from contracts.sealed import Sealed
from contracts.types import now, rfc3339
from handlers.corp.documents import Invitation, Membership, Organization, Team
from handlers.corp.handlers.loading import (
    load_organization,
    load_person,
    load_team,
    new_membership,
)
from handlers.corp.handlers.standing import brand_roles_of, standings_of
from handlers.corp.handlers.teams import MEMBERS
from handlers.corp.queries import invitation_view, membership_id
from handlers.corp.rules import (
    check_gives,
    check_invitation_lives,
    check_invited,
    invitation_status,
)
from infra.random_tokens import digest_of, new_token


@dataclass(frozen=True, slots=True)
class Invitations:
    """The commands about invitations."""

    lives: timedelta
    resend_after: timedelta

    async def create_invitation(self, command: CreateInvitation, uow: UnitOfWork) -> InvitationView:
        organization = await load_organization(uow)
        teams = [await load_team(team, uow) for team in dict.fromkeys(command.team_ids)]
        await _check_may_invite(command.role, teams, uow)
        address = {"organization_id": uow.org, "email": command.email}
        if await Membership.find_one(address) is not None:
            raise AlreadyMember()
        before = await Invitation.find_one({**address, "status": "pending"})
        instant = now()
        if before is not None:
            if before.expires_at > instant:
                raise AlreadyInvited()
            before.status = "expired"
            uow.save(before)
        uow.hold_id(Organization, uow.org)
        token = new_token()
        invitation = Invitation(
            id=uow.new_id("inv"),
            organization_id=uow.org,
            email=command.email,
            role=command.role,
            team_ids=[team.id for team in teams],
            invited_by=uow.actor.user,
            digest=digest_of(token),
            sent_at=instant,
            expires_at=instant + self.lives,
        )
        uow.add(invitation)
        uow.emit(
            InvitationCreated(invitation_id=invitation.id, role=invitation.role),
            invitation,
        )
        await _mail(invitation, token, organization, uow)
        return invitation_view(invitation)

    async def resend_invitation(self, command: ResendInvitation, uow: UnitOfWork) -> InvitationView:
        invitation = await _invitation(command.invitation, uow)
        check_invitation_lives(invitation.status)
        teams = await Team.find({"_id": {"$in": invitation.team_ids}}).to_list()
        await _check_may_invite(invitation.role, teams, uow)
        instant = now()
        wait = (invitation.sent_at + self.resend_after - instant).total_seconds()
        if wait > 0:
            raise InvitationSentLately(retry_after=wait)
        token = new_token()
        invitation.digest = digest_of(token)
        invitation.sent_at, invitation.expires_at = instant, instant + self.lives
        uow.save(invitation)
        uow.emit(InvitationResent(invitation_id=invitation.id), invitation)
        await _mail(invitation, token, await load_organization(uow), uow)
        return invitation_view(invitation)


async def revoke_invitation(command: RevokeInvitation, uow: UnitOfWork) -> None:
    invitation = await _invitation(command.invitation, uow)
    check_revision(invitation, command.if_revision)
    check_invitation_lives(invitation.status)
    invitation.status = "revoked"
    uow.save(invitation)
    uow.emit(InvitationRevoked(invitation_id=invitation.id), invitation)


async def accept_invitation(command: AcceptInvitation, uow: UnitOfWork) -> MembershipView:
    if uow.actor.is_key:
        raise PermissionMissing("An API key cannot become a member.")
    person = await load_person(uow.actor.user, uow)
    invitation = await Invitation.find_one({"digest": digest_of(command.token.reveal())})
    organization = (
        await Organization.get(invitation.organization_id) if invitation is not None else None
    )
    if invitation is None or organization is None:
        raise InvitationNotFound()
    check_invited(invitation.email, person.email)
    check_invitation_lives(invitation_status(invitation.status, invitation.expires_at, now()))
    if await Membership.get(membership_id(organization.id, person.id)) is not None:
        # Perhaps by this very invitation, a moment after it was read.
        latest = await Invitation.get(invitation.id)
        check_invitation_lives(latest.status if latest is not None else invitation.status)
        raise AlreadyMember()
    uow.hold_id(Organization, organization.id)
    invitation.status, invitation.accepted_by = "accepted", person.id
    uow.save(invitation)
    member = new_membership(organization.id, person, invitation.role)
    # Those that are gone or full by now are left out.
    teams = await Team.find({"_id": {"$in": invitation.team_ids}}).to_list()
    joined = [team for team in teams if team.members < MEMBERS]
    member.teams = [team.id for team in joined]
    (await standings_of([member], uow, teams=joined)).put(member)
    uow.add(member)
    uow.emit(
        MemberAdded(user_id=person.id, role=member.role),
        member,
        org=organization.id,
    )
    for team in joined:
        team.members += 1
        uow.save(team)
        uow.emit(
            TeamMemberAdded(team_id=team.id, member_id=person.id),
            team,
            org=organization.id,
        )
    uow.emit(
        InvitationAccepted(
            invitation_id=invitation.id, member_id=person.id, invited_by=invitation.invited_by
        ),
        invitation,
        org=organization.id,
    )
    return MembershipView(
        organization_id=organization.id,
        name=organization.name,
        slug=organization.slug,
        role=member.standing,
    )


async def _check_may_invite(role: Role, teams: Sequence[Team], uow: UnitOfWork) -> None:
    check_gives(uow.actor, role)
    for team in teams:
        roles = await brand_roles_of(team.id, uow)
        check_gives(uow.actor, team.role, *(each.role for each in roles))


async def _invitation(invitation: str, uow: UnitOfWork) -> Invitation:
    found = await Invitation.find_one({"_id": invitation, "organization_id": uow.org})
    if found is None:
        raise InvitationNotFound()
    return found


async def _mail(
    invitation: Invitation, token: str, organization: Organization, uow: UnitOfWork
) -> None:
    inviter = await Membership.get(membership_id(uow.org, uow.actor.user))
    uow.send(
        SendMail(
            to=invitation.email,
            template=MailTemplate.INVITATION,
            values={
                "organization": organization.name,
                "inviter": inviter.name if inviter is not None else organization.name,
                "role": invitation.role,
                "expires": rfc3339(invitation.expires_at),
            },
            token=Sealed(token),
        )
    )
