"""Roles in brands: one function per command. The actor's role is that in the brand."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.actor import PermissionMissing
from contracts.corp.commands import AddBrandRole, ChangeBrandRole, RemoveBrandRole
from contracts.corp.errors import BrandRoleNotFound, BrandRoleTaken, TooManyBrandRoles
from contracts.corp.events import BrandRoleAdded, BrandRoleChanged, BrandRoleRemoved
from contracts.corp.views import BrandRoleView
from handlers.corp.documents import Brand, BrandRole, Membership, Team
from handlers.corp.handlers.loading import load_brand, load_member, load_team
from handlers.corp.handlers.standing import members_of, settle, standings_of
from handlers.corp.queries import brand_role_id, brand_role_view
from handlers.corp.rules import check_gives, is_team

HOLDERS = 500
"""Of roles in one brand; and brands one holder may have roles in."""


async def add_brand_role(command: AddBrandRole, uow: UnitOfWork) -> BrandRoleView:
    _by_a_person(uow)
    await load_brand(command.brand, uow)
    check_gives(uow.actor, command.role)
    holder = await _holder(command.holder, uow)
    if await BrandRole.get(brand_role_id(command.brand, command.holder)) is not None:
        raise BrandRoleTaken()
    for wanted in (
        {"brand_id": command.brand},
        {"organization_id": uow.org, "holder": command.holder},
    ):
        if await BrandRole.find(wanted).count() >= HOLDERS:
            raise TooManyBrandRoles(f"There are at most {HOLDERS} in a brand, and of a holder.")
    uow.hold_id(Brand, command.brand)
    role = BrandRole(
        id=brand_role_id(command.brand, command.holder),
        organization_id=uow.org,
        brand_id=command.brand,
        holder=command.holder,
        role=command.role,
    )
    uow.add(role)
    uow.emit(
        BrandRoleAdded(brand_id=role.brand_id, holder=role.holder, role=role.role),
        role,
    )
    await _settle(holder, uow, roles=[role])
    return brand_role_view(role, holder.name)


async def change_brand_role(command: ChangeBrandRole, uow: UnitOfWork) -> BrandRoleView:
    _by_a_person(uow)
    role = await _role(command.brand, command.holder, uow)
    check_revision(role, command.if_revision)
    check_gives(uow.actor, role.role, command.role)
    holder = await _holder(command.holder, uow)
    role.role = command.role
    uow.save(role)
    uow.emit(
        BrandRoleChanged(brand_id=role.brand_id, holder=role.holder, role=role.role),
        role,
    )
    await _settle(holder, uow, roles=[role])
    return brand_role_view(role, holder.name)


async def remove_brand_role(command: RemoveBrandRole, uow: UnitOfWork) -> None:
    _by_a_person(uow)
    role = await _role(command.brand, command.holder, uow)
    check_revision(role, command.if_revision)
    check_gives(uow.actor, role.role)
    holder = await _holder(command.holder, uow)
    uow.remove(role)
    uow.emit(BrandRoleRemoved(brand_id=role.brand_id, holder=role.holder), role)
    await _settle(holder, uow, without=[role])


def _by_a_person(uow: UnitOfWork) -> None:
    """A role outlives the API key that gave it: a stolen key could leave a way in."""
    if uow.actor.is_key:
        raise PermissionMissing("Roles in brands are given by people, not by API keys.")


async def _settle(
    holder: Team | Membership,
    uow: UnitOfWork,
    *,
    roles: list[BrandRole] | None = None,
    without: list[BrandRole] | None = None,
) -> None:
    """Stage the holder as changed, and the members for whom something follows from it."""
    if isinstance(holder, Membership):
        members, teams = [holder], []
    else:
        uow.save(holder)
        members, teams = await members_of(holder.id, uow), [holder]
    standings = await standings_of(
        members, uow, teams=teams, roles=roles or (), without=without or ()
    )
    settle(members, standings, uow, changed=isinstance(holder, Membership))


async def _holder(holder: str, uow: UnitOfWork) -> Team | Membership:
    if is_team(holder):
        return await load_team(holder, uow)
    return await load_member(holder, uow)


async def _role(brand: str, holder: str, uow: UnitOfWork) -> BrandRole:
    await load_brand(brand, uow)
    found = await BrandRole.get(brand_role_id(brand, holder))
    if found is None:
        raise BrandRoleNotFound()
    return found
