"""Corp's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from bus.handling import Handler
from contracts.auth.events import UserRegistered, UserUpdated
from contracts.base import Command, Event
from contracts.corp.commands import (
    AcceptInvitation,
    AddBrandRole,
    AddMember,
    AddTeamMember,
    ChangeBrandRole,
    ChangeMember,
    CreateBrand,
    CreateInvitation,
    CreateOrganization,
    CreateProject,
    CreateTeam,
    DeleteBrand,
    DeleteOrganization,
    DeleteProject,
    DeleteTeam,
    RemoveBrandRole,
    RemoveMember,
    RemoveTeamMember,
    ResendInvitation,
    RevokeInvitation,
    TransferOrganization,
    UpdateBrand,
    UpdateBrandKit,
    UpdateOrganization,
    UpdateProject,
    UpdateTeam,
)
from handlers.corp import handlers, reactions
from handlers.corp.handlers import Invitations, Members
from handlers.domain import Context, Domain
from infra.settings import Settings


def commands_of(members: Members, invitations: Invitations) -> dict[type[Command], Handler]:
    """Command → handler."""
    return {
        CreateOrganization: handlers.create_organization,
        UpdateOrganization: handlers.update_organization,
        DeleteOrganization: handlers.delete_organization,
        TransferOrganization: handlers.transfer_organization,
        AddMember: members.add_member,
        ChangeMember: handlers.change_member,
        RemoveMember: handlers.remove_member,
        CreateInvitation: invitations.create_invitation,
        ResendInvitation: invitations.resend_invitation,
        RevokeInvitation: handlers.revoke_invitation,
        AcceptInvitation: handlers.accept_invitation,
        CreateTeam: handlers.create_team,
        UpdateTeam: handlers.update_team,
        DeleteTeam: handlers.delete_team,
        AddTeamMember: handlers.add_team_member,
        RemoveTeamMember: handlers.remove_team_member,
        CreateBrand: handlers.create_brand,
        UpdateBrand: handlers.update_brand,
        UpdateBrandKit: handlers.update_brand_kit,
        DeleteBrand: handlers.delete_brand,
        AddBrandRole: handlers.add_brand_role,
        ChangeBrandRole: handlers.change_brand_role,
        RemoveBrandRole: handlers.remove_brand_role,
        CreateProject: handlers.create_project,
        UpdateProject: handlers.update_project,
        DeleteProject: handlers.delete_project,
    }


REACTIONS: dict[type[Event], Handler] = {
    UserRegistered: reactions.remember_the_person,
    UserUpdated: reactions.rename_the_person,
}


def adds_directly(settings: Settings) -> bool:
    """Whether members are made without an invitation: as set, else everywhere but in production."""
    if settings.corp.direct_members is None:
        return settings.environment != "production"
    return settings.corp.direct_members


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Corp needs nothing but MongoDB."""
    settings = context.settings.corp
    members = Members(adds_directly(context.settings))
    invitations = Invitations(
        timedelta(seconds=settings.invitation_ttl),
        timedelta(seconds=settings.invitation_resend_after),
    )
    yield Domain("corp", commands_of(members, invitations), REACTIONS)
