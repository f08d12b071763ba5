"""Routes of organizations and what they are made of."""

from __future__ import annotations

from bus.paging import Page
from contracts.corp.commands import (
    AddMember,
    ChangeMember,
    CreateBrand,
    CreateOrganization,
    CreateProject,
    DeleteBrand,
    DeleteOrganization,
    DeleteProject,
    RemoveMember,
    UpdateBrand,
    UpdateOrganization,
    UpdateProject,
)
from contracts.corp.views import BrandView, MemberView, OrganizationView, ProjectView
from contracts.permissions import Permission
from gateway.table import Access, Route, command, query
from handlers.corp.queries import (
    get_brand,
    get_member,
    get_organization,
    get_project,
    list_brands,
    list_members,
    list_organizations,
    list_projects,
)

SIGNED_IN = Access.SIGNED_IN
ORG = "/v1/orgs/{org}"
MEMBER = ORG + "/members/{user}"
BRAND = ORG + "/brands/{brand}"
PROJECT = ORG + "/projects/{project}"

TENANCY: list[Route] = [
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
    command("DELETE", MEMBER, RemoveMember, allow=Permission.MEMBER_READ),
    query(ORG + "/brands", list_brands, allow=Permission.BRAND_READ, answers=Page[BrandView]),
    command(
        "POST",
        ORG + "/brands",
        CreateBrand,
        allow=Permission.BRAND_WRITE,
        answers=BrandView,
        location=ORG + "/brands/{id}",
    ),
    query(BRAND, get_brand, allow=Permission.BRAND_READ, answers=BrandView),
    command("PATCH", BRAND, UpdateBrand, allow=Permission.BRAND_WRITE, answers=BrandView),
    command("DELETE", BRAND, DeleteBrand, allow=Permission.BRAND_DELETE),
    query(
        ORG + "/projects", list_projects, allow=Permission.PROJECT_READ, answers=Page[ProjectView]
    ),
    command(
        "POST",
        ORG + "/projects",
        CreateProject,
        allow=Permission.PROJECT_WRITE,
        answers=ProjectView,
        location=ORG + "/projects/{id}",
    ),
    query(PROJECT, get_project, allow=Permission.PROJECT_READ, answers=ProjectView),
    command("PATCH", PROJECT, UpdateProject, allow=Permission.PROJECT_WRITE, answers=ProjectView),
    command("DELETE", PROJECT, DeleteProject, allow=Permission.PROJECT_DELETE),
]
