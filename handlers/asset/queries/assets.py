"""Reads of the assets of the actor's organization."""

from __future__ import annotations

from typing import Any

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.asset.errors import AssetNotFound
from contracts.asset.rights import Moment
from contracts.asset.types import AssetKind, AssetStatus
from contracts.asset.views import AssetView
from contracts.types import Id, Sha256, Tag, now
from handlers.asset.documents import IN_LIBRARY, Asset
from handlers.asset.queries.views import asset_view
from handlers.asset.rights import RightsFilter, rights_wanted


async def list_assets(
    actor: Actor,
    cursor: Cursor,
    kind: AssetKind | None = None,
    status: AssetStatus | None = None,
    project_id: Id | None = None,
    tag: Tag | None = None,
    sha256: Sha256 | None = None,
    rights: RightsFilter | None = None,
    expires_before: Moment | None = None,
) -> Page[AssetView]:
    """The library, optionally by kind, status, project, tag, content or rights."""
    filters = {
        "kind": kind,
        "status": status,
        "project_id": project_id,
        "tags": tag,
        "sha256": sha256,
    }
    wanted: dict[str, Any] = {"organization_id": actor.tenant, **IN_LIBRARY}
    wanted |= {name: value for name, value in filters.items() if value is not None}
    if by_rights := rights_wanted(rights, expires_before, now()):
        wanted["$and"] = by_rights
    return await page_of(Asset, wanted, cursor, asset_view)


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
    found = await Asset.get_pymongo_collection().find_one(
        {"_id": asset, "organization_id": actor.tenant}, {"project_id": 1}
    )
    return found.get("project_id") if found is not None else None
