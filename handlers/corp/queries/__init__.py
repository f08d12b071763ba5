"""Reads of corp. Every one takes the actor first and stays in the actor's organization."""

from __future__ import annotations

from handlers.corp.queries.brands import (
    brand_kit_view,
    brand_role_id,
    brand_role_view,
    brand_view,
    get_brand,
    get_brand_kit,
    get_brand_role,
    get_holder,
    list_brand_roles,
    list_brands,
)
from handlers.corp.queries.invitations import (
    get_invitation,
    invitation_view,
    list_invitations,
)
from handlers.corp.queries.members import (
    get_member,
    list_members,
    member_view,
)
from handlers.corp.queries.organizations import (
    Standing,
    find_existence,
    find_standing,
    get_organization,
    list_memberships,
    list_organizations,
    membership_id,
    organization_view,
)
from handlers.corp.queries.people import find_person, list_named_members, list_staff
from handlers.corp.queries.projects import (
    find_brand_of_project,
    find_brands_of_projects,
    find_projects_of_brands,
    get_open_project,
    get_project,
    list_projects,
    project_view,
)
from handlers.corp.queries.teams import (
    get_team,
    list_team_members,
    list_teams,
    team_view,
)

__all__ = [
    "Standing",
    "brand_kit_view",
    "brand_role_id",
    "brand_role_view",
    "brand_view",
    "find_brand_of_project",
    "find_brands_of_projects",
    "find_existence",
    "find_person",
    "find_projects_of_brands",
    "find_standing",
    "get_brand",
    "get_brand_kit",
    "get_brand_role",
    "get_holder",
    "get_invitation",
    "get_member",
    "get_open_project",
    "get_organization",
    "get_project",
    "get_team",
    "invitation_view",
    "list_brand_roles",
    "list_brands",
    "list_invitations",
    "list_members",
    "list_memberships",
    "list_named_members",
    "list_organizations",
    "list_projects",
    "list_staff",
    "list_team_members",
    "list_teams",
    "member_view",
    "membership_id",
    "organization_view",
    "project_view",
    "team_view",
]
