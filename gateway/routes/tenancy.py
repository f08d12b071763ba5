"""Routes of organizations and what they are made of."""

from __future__ import annotations

from bus.paging import Page
from contracts.corp.commands import (
    AcceptInvitation,
    AddMember,
    AddTeamMember,
    ChangeMember,
    CreateInvitation,
    CreateOrganization,
    CreateTeam,
    DeleteOrganization,
    DeleteTeam,
    RemoveMember,
    RemoveTeamMember,
    ResendInvitation,
    RevokeInvitation,
    TransferOrganization,
    UpdateOrganization,
    UpdateTeam,
)
from contracts.corp.views import (
    InvitationView,
    MembershipView,
    MemberView,
    OrganizationView,
    TeamView,
)
from contracts.permissions import Permission
from gateway.table import Access, Route, command, query
from handlers.corp.queries import (
    get_invitation,
    get_member,
    get_organization,
    get_team,
    list_invitations,
    list_members,
    list_organizations,
    list_team_members,
    list_teams,
)

SIGNED_IN = Access.SIGNED_IN
ORG = "/v1/orgs/{org}"
MEMBER = ORG + "/members/{user}"
INVITATION = ORG + "/invitations/{invitation}"
TEAM = ORG + "/teams/{team}"

ORGANIZATIONS: list[Route] = [
    query("/v1/orgs", list_organizations, allow=SIGNED_IN, answers=Page[OrganizationView]),
    command(
        "POST",
        "/v1/orgs",
        CreateOrganization,
        allow=SIGNED_IN,
        answers=OrganizationView,
        location="/v1/orgs/{id}",
    ),
    query(
        ORG,
        get_organization,
        allow=Permission.ORGANIZATION_READ,
        answers=OrganizationView,
        revised=False,
    ),
    command(
        "PATCH",
        ORG,
        UpdateOrganization,
        allow=Permission.ORGANIZATION_WRITE,
        answers=OrganizationView,
    ),
    command("DELETE", ORG, DeleteOrganization, allow=Permission.ORGANIZATION_DELETE),
    command(
        "POST",
        ORG + "/transfer",
        TransferOrganization,
        allow=Permission.ORGANIZATION_TRANSFER,
        answers=OrganizationView,
        references={"user_id": get_member},
    ),
]

MEMBERS: list[Route] = [
    query(ORG + "/members", list_members, allow=Permission.MEMBER_READ, answers=Page[MemberView]),
    command(
        "POST",
        ORG + "/members",
        AddMember,
        allow=Permission.MEMBER_WRITE,
        answers=MemberView,
        location=ORG + "/members/{user_id}",
    ),
    query(MEMBER, get_member, allow=Permission.MEMBER_READ, answers=MemberView),
    command("PATCH", MEMBER, ChangeMember, allow=Permission.MEMBER_WRITE, answers=MemberView),
    # Everybody may leave; removing another needs member:write, which the handler requires.
    command("DELETE", MEMBER, RemoveMember, allow=Permission.MEMBER_READ, impersonable=False),
]

INVITATIONS: list[Route] = [
    query(
        ORG + "/invitations",
        list_invitations,
        allow=Permission.INVITATION_READ,
        answers=Page[InvitationView],
    ),
    command(
        "POST",
        ORG + "/invitations",
        CreateInvitation,
        allow=Permission.INVITATION_WRITE,
        answers=InvitationView,
        location=ORG + "/invitations/{id}",
        references={"team_ids/*": get_team},
    ),
    # Its status changes as time passes, without a new revision.
    query(
        INVITATION,
        get_invitation,
        allow=Permission.INVITATION_READ,
        answers=InvitationView,
        revised=False,
    ),
    command("DELETE", INVITATION, RevokeInvitation, allow=Permission.INVITATION_WRITE),
    command(
        "POST",
        INVITATION + "/resend",
        ResendInvitation,
        allow=Permission.INVITATION_WRITE,
        answers=InvitationView,
    ),
    command(
        "POST",
        "/v1/invitations/accept",
        AcceptInvitation,
        allow=SIGNED_IN,
        answers=MembershipView,
        location="/v1/orgs/{organization_id}",
    ),
]

TEAMS: list[Route] = [
    query(ORG + "/teams", list_teams, allow=Permission.TEAM_READ, answers=Page[TeamView]),
    command(
        "POST",
        ORG + "/teams",
        CreateTeam,
        allow=Permission.TEAM_WRITE,
        answers=TeamView,
        location=ORG + "/teams/{id}",
    ),
    query(TEAM, get_team, allow=Permission.TEAM_READ, answers=TeamView),
    command("PATCH", TEAM, UpdateTeam, allow=Permission.TEAM_WRITE, answers=TeamView),
    command("DELETE", TEAM, DeleteTeam, allow=Permission.TEAM_WRITE),
    query(
        TEAM + "/members",
        list_team_members,
        allow=Permission.MEMBER_READ,
        answers=Page[MemberView],
    ),
    command(
        "POST",
        TEAM + "/members",
        AddTeamMember,
        allow=Permission.TEAM_WRITE,
        answers=MemberView,
        location=ORG + "/members/{user_id}",
        references={"user_id": get_member},
    ),
    command("DELETE", TEAM + "/members/{user}", RemoveTeamMember, allow=Permission.TEAM_WRITE),
]

TENANCY: list[Route] = [
    *ORGANIZATIONS,
    *MEMBERS,
    *INVITATIONS,
    *TEAMS,
]
