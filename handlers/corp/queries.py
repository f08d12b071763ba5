"""Reads of corp. Every one takes the actor first and stays in the actor's organization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bus.batching import Batcher
from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.corp.errors import (
    BrandNotFound,
    MemberNotFound,
    OrganizationNotFound,
    ProjectNotFound,
)
from contracts.corp.views import (
    BrandView,
    MembershipView,
    MemberView,
    OrganizationView,
    ProjectView,
)
from contracts.permissions import Role
from handlers.corp.documents import Brand, Membership, Organization, Project
from handlers.corp.rules import name_key


def membership_id(organization: str, user: str) -> str:
    """The id of a user's membership in an organization."""
    return f"{organization}:{user}"


def organization_view(organization: Organization, role: Role | None) -> OrganizationView:
    return OrganizationView(
        id=organization.id,
        name=organization.name,
        slug=organization.slug,
        role=role,
        created_at=organization.created_at,
        revision=organization.revision,
    )


def member_view(member: Membership) -> MemberView:
    return MemberView(
        user_id=member.user_id,
        email=member.email,
        name=member.name,
        role=member.role,
        created_at=member.created_at,
        revision=member.revision,
    )


def brand_view(brand: Brand) -> BrandView:
    return BrandView(
        id=brand.id, name=brand.name, created_at=brand.created_at, revision=brand.revision
    )


def project_view(project: Project) -> ProjectView:
    return ProjectView(
        id=project.id,
        brand_id=project.brand_id,
        name=project.name,
        status=project.status,
        created_at=project.created_at,
        revision=project.revision,
    )


async def _fetch_roles(ids: Sequence[str]) -> dict[str, Role]:
    found = Membership.get_pymongo_collection().find({"_id": {"$in": ids}}, {"role": 1})
    return {each["_id"]: Role(each["role"]) async for each in found}


_roles: Batcher[str, Role] = Batcher(_fetch_roles)


async def find_role(actor: Actor, organization: str) -> Role | None:
    """The actor's role in an organization at this instant; None outside of it."""
    return await _roles.find(membership_id(organization, actor.user))


async def _fetch_organizations(ids: Sequence[str]) -> dict[str, bool]:
    found = Organization.get_pymongo_collection().find({"_id": {"$in": ids}}, {"_id": 1})
    return {each["_id"]: True async for each in found}


_organizations: Batcher[str, bool] = Batcher(_fetch_organizations)


async def find_existence(actor: Actor, organization: str) -> bool:
    """Whether an organization is there at this instant: for API keys, which have no membership."""
    return bool(await _organizations.find(organization))


async def list_memberships(actor: Actor) -> list[MembershipView]:
    """What the actor belongs to, oldest first; at most 1,000."""
    memberships = await Membership.find({"user_id": actor.user}).sort("_id").to_list(1000)
    organizations = {
        organization.id: organization
        for organization in await Organization.find(
            {"_id": {"$in": [membership.organization_id for membership in memberships]}}
        ).to_list()
    }
    return [
        MembershipView(
            organization_id=membership.organization_id,
            name=organizations[membership.organization_id].name,
            slug=organizations[membership.organization_id].slug,
            role=membership.role,
        )
        for membership in memberships
        if membership.organization_id in organizations
    ]


async def list_organizations(actor: Actor, cursor: Cursor) -> Page[OrganizationView]:
    """The actor's organizations, oldest first."""
    roles = {
        membership.organization_id: membership.role
        for membership in await Membership.find({"user_id": actor.user}).to_list()
    }
    return await page_of(
        Organization,
        {"_id": {"$in": list(roles)}},
        cursor,
        lambda organization: organization_view(organization, roles[organization.id]),
    )


async def get_organization(actor: Actor) -> OrganizationView:
    """The organization acted in."""
    organization = await Organization.get(actor.tenant)
    if organization is None:
        raise OrganizationNotFound()
    return organization_view(organization, actor.role)


async def list_members(actor: Actor, cursor: Cursor, role: Role | None = None) -> Page[MemberView]:
    """Members, optionally of one role."""
    wanted: dict[str, object] = {"organization_id": actor.tenant}
    if role is not None:
        wanted["role"] = role
    return await page_of(Membership, wanted, cursor, member_view)


async def get_member(actor: Actor, user: str) -> MemberView:
    """One member. Raises MemberNotFound."""
    member = await Membership.get(membership_id(actor.tenant, user))
    if member is None:
        raise MemberNotFound()
    return member_view(member)


async def list_brands(actor: Actor, cursor: Cursor, name: str | None = None) -> Page[BrandView]:
    """Brands, optionally the one with this name."""
    wanted: dict[str, object] = {"organization_id": actor.tenant}
    if name is not None:
        wanted["name_key"] = name_key(name)
    return await page_of(Brand, wanted, cursor, brand_view)


async def get_brand(actor: Actor, brand: str) -> BrandView:
    """One brand. Raises BrandNotFound, also for another organization's."""
    found = await Brand.find_one({"_id": brand, "organization_id": actor.tenant})
    if found is None:
        raise BrandNotFound()
    return brand_view(found)


async def list_projects(
    actor: Actor,
    cursor: Cursor,
    brand_id: str | None = None,
    status: Literal["active", "archived"] | None = None,
) -> Page[ProjectView]:
    """Projects, optionally of one brand or status."""
    wanted: dict[str, object] = {"organization_id": actor.tenant}
    if brand_id is not None:
        wanted["brand_id"] = brand_id
    if status is not None:
        wanted["status"] = status
    return await page_of(Project, wanted, cursor, project_view)


async def get_project(actor: Actor, project: str) -> ProjectView:
    """One project. Raises ProjectNotFound, also for another organization's."""
    found = await Project.find_one({"_id": project, "organization_id": actor.tenant})
    if found is None:
        raise ProjectNotFound()
    return project_view(found)
