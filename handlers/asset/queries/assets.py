"""Reads of the assets of the actor's organization."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bus.paging import Page, sorted_page
from contracts.actor import Actor
from contracts.asset.errors import AssetNotFound
from contracts.asset.types import AssetStatus
from contracts.asset.views import AssetView
from handlers.asset.documents import IN_LIBRARY, Asset
from handlers.asset.queries.search import SORTED_BY, AssetCursor, AssetFilter
from handlers.asset.queries.views import asset_view
from handlers.asset.trees import ids_below
from handlers.asset.words import label

ALL = AssetFilter()


async def list_assets(
    actor: Actor, cursor: AssetCursor, sought: AssetFilter = ALL
) -> Page[AssetView]:
    """The library, or what of it is sought."""
    folders = None
    if sought.under is not None:
        folders = await ids_below(actor.tenant, sought.under)
    wanted: dict[str, Any] = {"organization_id": actor.tenant, **IN_LIBRARY}
    if filters := sought.query(folders):
        wanted["$and"] = filters
    meaning = {"organization_id": actor.tenant, **sought.model_dump(exclude_defaults=True)}
    return await sorted_page(Asset, wanted, cursor, asset_view, by=SORTED_BY, meaning=meaning)


async def get_asset(actor: Actor, asset: str) -> AssetView:
    """One asset. Raises AssetNotFound, also for another organization's."""
    wanted = {"_id": asset, "organization_id": actor.tenant, **IN_LIBRARY}
    found = await Asset.find_one(wanted)
    if found is None:
        raise AssetNotFound()
    return asset_view(found)


async def get_asset_status(actor: Actor, asset: str) -> AssetStatus:
    """Where one asset stands. Raises AssetNotFound, also for another organization's."""
    found = await Asset.get_pymongo_collection().find_one(
        {"_id": asset, "organization_id": actor.tenant, **IN_LIBRARY}, {"status": 1}
    )
    if found is None:
        raise AssetNotFound()
    status: AssetStatus = found["status"]
    return status


async def find_project_of_asset(actor: Actor, asset: str) -> str | None:
    """The project an asset is in, also in the trash; None when it is in none, or is none."""
    found = await find_projects_of_assets(actor, [asset])
    return found.get(asset)


async def find_projects_of_assets(actor: Actor, assets: Iterable[str]) -> dict[str, str | None]:
    """Asset → the project it is in, None for none; without those that are not there."""
    wanted = {"_id": {"$in": list(assets)}, "organization_id": actor.tenant}
    found = Asset.get_pymongo_collection().find(wanted, {"project_id": 1})
    return {each["_id"]: each.get("project_id") async for each in found}


async def find_asset_in_folder(actor: Actor, folder: str, projects: Sequence[str]) -> str | None:
    """An asset of one of these projects that lies in a folder, at any depth; None: there is none."""
    within = {**IN_LIBRARY, "folder_id": {"$in": await ids_below(actor.tenant, folder)}}
    return await _any(actor, within, projects)


async def find_asset_with_tag(actor: Actor, tag: str, projects: Sequence[str]) -> str | None:
    """An asset of one of these projects that has a tag, also in the trash; None: there is none."""
    return await _any(actor, {"labels": label(tag)}, projects)


async def _any(actor: Actor, those: dict[str, Any], projects: Sequence[str]) -> str | None:
    wanted = {
        "organization_id": actor.tenant,
        "project_id": {"$in": list(projects)},
        **those,
    }
    found = await Asset.get_pymongo_collection().find_one(wanted, {"_id": 1})
    return None if found is None else str(found["_id"])
