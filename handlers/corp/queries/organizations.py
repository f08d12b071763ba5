"""Reads of organizations, and of what the actor is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bus.batching import Batcher
from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.corp.errors import OrganizationNotFound
from contracts.corp.views import MembershipView, OrganizationView
from contracts.permissions import Role
from handlers.corp.documents import Membership, Organization


@dataclass(frozen=True, slots=True)
class Standing:
    """What a member may count on: the effective role, and the brands where it is another."""

    role: Role
    brand_roles: Mapping[str, Role]


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


async def _fetch_standings(ids: Sequence[str]) -> dict[str, Standing]:
    found = Membership.get_pymongo_collection().find(
        {"_id": {"$in": ids}}, {"role": 1, "effective_role": 1, "brand_roles": 1}
    )
    return {
        each["_id"]: Standing(
            Role(each.get("effective_role") or each["role"]),
            {brand: Role(role) for brand, role in each.get("brand_roles", {}).items()},
        )
        async for each in found
    }


_standings: Batcher[str, Standing] = Batcher(_fetch_standings)


async def find_standing(actor: Actor, organization: str) -> Standing | None:
    """What the actor is in an organization at this instant; None outside of it."""
    return await _standings.find(membership_id(organization, actor.user))


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
            role=membership.standing,
        )
        for membership in memberships
        if membership.organization_id in organizations
    ]


async def list_organizations(actor: Actor, cursor: Cursor) -> Page[OrganizationView]:
    """The actor's organizations, oldest first."""
    roles = {
        membership.organization_id: membership.standing
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
