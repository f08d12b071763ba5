"""Brands: one function per command."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.corp.commands import (
    CreateBrand,
    DeleteBrand,
    UpdateBrand,
    UpdateBrandKit,
)
from contracts.corp.errors import (
    BrandNameTaken,
    BrandNotEmpty,
)
from contracts.corp.events import (
    BrandCreated,
    BrandDeleted,
    BrandKitUpdated,
    BrandUpdated,
)
from contracts.corp.views import BrandKitView, BrandView
from handlers.corp.documents import Brand, BrandRole, Membership, Organization, Project
from handlers.corp.handlers.loading import load_brand, load_organization
from handlers.corp.handlers.standing import settle, standings_of
from handlers.corp.queries import brand_kit_view, brand_view
from handlers.corp.rules import check_brand_changes, check_kit, name_key


async def create_brand(command: CreateBrand, uow: UnitOfWork) -> BrandView:
    if uow.rerun:  # the unique index or the hold has found something
        await _check_brand_name(command.name, uow)
        await load_organization(uow)
    uow.hold_id(Organization, uow.org)
    brand = Brand(
        id=uow.new_id("brd"),
        organization_id=uow.org,
        name=command.name,
        name_key=name_key(command.name),
    )
    uow.add(brand)
    uow.emit(BrandCreated(brand_id=brand.id, name=brand.name), brand)
    return brand_view(brand)


async def update_brand(command: UpdateBrand, uow: UnitOfWork) -> BrandView:
    brand = await load_brand(command.brand, uow)
    check_revision(brand, command.if_revision)
    check_brand_changes(brand.status, command.status, more=command.name is not None)
    if command.name is not None:
        if name_key(command.name) != brand.name_key:
            await _check_brand_name(command.name, uow, but=brand.id)
        brand.name, brand.name_key = command.name, name_key(command.name)
    if command.status is not None:
        brand.status = command.status
    uow.save(brand)
    uow.emit(
        BrandUpdated(brand_id=brand.id, name=brand.name, status=brand.status),
        brand,
    )
    return brand_view(brand)


async def update_brand_kit(command: UpdateBrandKit, uow: UnitOfWork) -> BrandKitView:
    brand = await load_brand(command.brand, uow)
    check_revision(brand, command.if_revision)
    check_brand_changes(brand.status, None, more=True)
    kit = brand.kit.model_copy()
    if command.colors is not None:
        kit.colors = list(command.colors)
    if command.fonts is not None:
        kit.fonts = list(command.fonts)
    if command.logos is not None:
        kit.logos = list(command.logos)
    check_kit(kit.colors, kit.fonts, kit.logos)
    brand.kit = kit
    uow.save(brand)
    assets = [logo.asset_id for logo in kit.logos]
    assets += [font.asset_id for font in kit.fonts if font.asset_id is not None]
    uow.emit(
        BrandKitUpdated(brand_id=brand.id, name=brand.name, asset_ids=tuple(dict.fromkeys(assets))),
        brand,
    )
    return brand_kit_view(brand)


async def delete_brand(command: DeleteBrand, uow: UnitOfWork) -> None:
    brand = await load_brand(command.brand, uow)
    check_revision(brand, command.if_revision)
    if await Project.find_one({"brand_id": brand.id}) is not None:
        raise BrandNotEmpty()
    roles = await BrandRole.find({"brand_id": brand.id}).to_list()
    for role in roles:
        uow.remove(role)
    if roles:
        found = {"organization_id": uow.org, f"brand_roles.{brand.id}": {"$exists": True}}
        members = await Membership.find(found).to_list()
        settle(members, await standings_of(members, uow, without=roles), uow)
    uow.remove(brand)
    uow.emit(BrandDeleted(brand_id=brand.id), brand)


async def _check_brand_name(name: str, uow: UnitOfWork, *, but: str = "") -> None:
    # But the brand itself, which may have been given the name since it was loaded.
    taken = {"organization_id": uow.org, "name_key": name_key(name), "_id": {"$ne": but}}
    if await Brand.find_one(taken) is not None:
        raise BrandNameTaken()
