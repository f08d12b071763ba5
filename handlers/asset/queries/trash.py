"""Reads of the trash."""

from __future__ import annotations

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.asset.views import TrashedAssetView
from handlers.asset.documents import Asset
from handlers.asset.queries.views import asset_view


async def list_trash(actor: Actor, cursor: Cursor) -> Page[TrashedAssetView]:
    """What was deleted and is not gone yet."""
    wanted = {"organization_id": actor.tenant, "trashed_at": {"$exists": True}}
    return await page_of(Asset, wanted, cursor, _trashed_view)


def _trashed_view(asset: Asset) -> TrashedAssetView:
    assert asset.trashed_at is not None
    assert asset.purge_at is not None
    return TrashedAssetView(
        asset=asset_view(asset),
        deleted_at=asset.trashed_at,
        deleted_by=asset.trashed_by,
        purge_at=asset.purge_at,
    )
