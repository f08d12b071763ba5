"""Reads of brands: themselves, how they look, who has which role in them."""

from __future__ import annotations

from collections.abc import Sequence

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.base import View
from contracts.corp.errors import BrandNotFound, BrandRoleNotFound
from contracts.corp.types import Status
from contracts.corp.views import BrandKitView, BrandRoleView, BrandView
from handlers.corp.documents import Brand, BrandRole, Membership, Team
from handlers.corp.queries.members import get_member
from handlers.corp.queries.teams import get_team
from handlers.corp.rules import is_team, name_key


def brand_role_id(brand: str, holder: str) -> str:
    """The id of a holder's role in a brand."""
    return f"{brand}:{holder}"


def brand_view(brand: Brand) -> BrandView:
    return BrandView(
        id=brand.id,
        name=brand.name,
        status=brand.status,
        created_at=brand.created_at,
        revision=brand.revision,
    )


def brand_kit_view(brand: Brand) -> BrandKitView:
    return BrandKitView(
        brand_id=brand.id,
        colors=tuple(brand.kit.colors),
        fonts=tuple(brand.kit.fonts),
        logos=tuple(brand.kit.logos),
        revision=brand.revision,
    )


def brand_role_view(role: BrandRole, name: str = "") -> BrandRoleView:
    return BrandRoleView(
        brand_id=role.brand_id,
        holder=role.holder,
        kind="team" if is_team(role.holder) else "user",
        name=name,
        role=role.role,
        created_at=role.created_at,
        revision=role.revision,
    )


async def list_brands(
    actor: Actor, cursor: Cursor, name: str | None = None, status: Status | None = None
) -> Page[BrandView]:
    """Brands, optionally the one with this name, or of one status."""
    wanted: dict[str, object] = {"organization_id": actor.tenant}
    if name is not None:
        wanted["name_key"] = name_key(name)
    if status is not None:
        # Those made before there were archives say nothing.
        wanted["status"] = "archived" if status == "archived" else {"$ne": "archived"}
    return await page_of(Brand, wanted, cursor, brand_view)


async def get_brand(actor: Actor, brand: str) -> BrandView:
    """One brand. Raises BrandNotFound, also for another organization's."""
    return brand_view(await _brand(actor, brand))


async def get_brand_kit(actor: Actor, brand: str) -> BrandKitView:
    """A brand's colours, fonts and logos. Raises BrandNotFound."""
    return brand_kit_view(await _brand(actor, brand))


async def list_brand_roles(actor: Actor, cursor: Cursor, brand: str) -> Page[BrandRoleView]:
    """Members and teams with a role of their own in a brand. Raises BrandNotFound."""
    await _brand(actor, brand)
    page = await page_of(
        BrandRole,
        {"organization_id": actor.tenant, "brand_id": brand},
        cursor,
        brand_role_view,
    )
    names = await _names(actor, [each.holder for each in page.items])
    items = tuple(
        each.model_copy(update={"name": names.get(each.holder, "")}) for each in page.items
    )
    return page.model_copy(update={"items": items})


async def get_brand_role(actor: Actor, brand: str, holder: str) -> BrandRoleView:
    """The role of one member or team in a brand. Raises BrandNotFound, BrandRoleNotFound."""
    await _brand(actor, brand)
    found = await BrandRole.get(brand_role_id(brand, holder))
    if found is None:
        raise BrandRoleNotFound()
    return brand_role_view(found, (await _names(actor, [holder])).get(holder, ""))


async def get_holder(actor: Actor, holder: str) -> View:
    """A member or a team, by id. Raises MemberNotFound, TeamNotFound."""
    if is_team(holder):
        return await get_team(actor, holder)
    return await get_member(actor, holder)


async def _brand(actor: Actor, brand: str) -> Brand:
    found = await Brand.find_one({"_id": brand, "organization_id": actor.tenant})
    if found is None:
        raise BrandNotFound()
    return found


async def _names(actor: Actor, holders: Sequence[str]) -> dict[str, str]:
    teams = await Team.find({"_id": {"$in": holders}, "organization_id": actor.tenant}).to_list()
    members = await Membership.find(
        {"_id": {"$in": [f"{actor.tenant}:{holder}" for holder in holders]}}
    ).to_list()
    return {team.id: team.name for team in teams} | {each.user_id: each.name for each in members}
