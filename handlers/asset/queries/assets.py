"""Reads of the assets of the actor's organization."""

from __future__ import annotations

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.asset.errors import AssetNotFound
from contracts.asset.types import AssetKind, AssetStatus
from contracts.asset.views import AssetView
from contracts.types import Id, Sha256, Tag
from handlers.asset.documents import Asset
from handlers.asset.queries.views import asset_view


async def list_assets(
    actor: Actor,
    cursor: Cursor,
    kind: AssetKind | None = None,
    status: AssetStatus | None = None,
    project_id: Id | None = None,
    tag: Tag | None = None,
    sha256: Sha256 | None = None,
) -> Page[AssetView]:
    """The library, optionally by kind, status, project, tag or content."""
    filters = {
        "kind": kind,
        "status": status,
        "project_id": project_id,
        "tags": tag,
        "sha256": sha256,
    }
    wanted = {name: value for name, value in filters.items() if value is not None}
    return await page_of(Asset, {"organization_id": actor.tenant, **wanted}, cursor, asset_view)


async def get_asset(actor: Actor, asset: str) -> AssetView:
    """One asset. Raises AssetNotFound, also for another organization's."""
    found = await Asset.find_one({"_id": asset, "organization_id": actor.tenant})
    if found is None:
        raise AssetNotFound()
    return asset_view(found)


async def get_asset_status(actor: Actor, asset: str) -> AssetStatus:
    """Where one asset stands. Raises AssetNotFound, also for another organization's."""
    found = await Asset.get_pymongo_collection().find_one(
        {"_id": asset, "organization_id": actor.tenant}, {"status": 1}
    )
    if found is None:
        raise AssetNotFound()
    status: AssetStatus = found["status"]
    return status


async def find_project_of_asset(actor: Actor, asset: str) -> str | None:
    """The project an asset is in; None when it is in none, or is none."""
    found = await Asset.get_pymongo_collection().find_one(
        {"_id": asset, "organization_id": actor.tenant}, {"project_id": 1}
    )
    return found.get("project_id") if found is not None else None
