"""Reads of what uses an asset, and of what it may be used for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.asset.errors import AssetNotFound
from contracts.asset.rights import Moment, RightsCheckView
from contracts.asset.territories import Territory
from contracts.asset.views import AssetUseView
from contracts.types import now
from handlers.asset.documents import IN_LIBRARY, Asset, AssetUser
from handlers.asset.queries.assets import get_asset_status
from handlers.asset.rights import check_rights


async def list_asset_usage(actor: Actor, cursor: Cursor, asset: str) -> Page[AssetUseView]:
    """What uses an asset. Raises AssetNotFound."""
    await get_asset_status(actor, asset)
    wanted = {"organization_id": actor.tenant, "assets": asset}
    return await page_of(AssetUser, wanted, cursor, _usage_view)


async def get_asset_rights(
    actor: Actor,
    asset: str,
    territory: Territory | None = None,
    at: Annotated[Moment | None, Field(description="Now, unless said.")] = None,
) -> RightsCheckView:
    """Whether an asset may be used, somewhere and at some time. Raises AssetNotFound."""
    wanted = {"_id": asset, "organization_id": actor.tenant, **IN_LIBRARY}
    found = await Asset.find_one(wanted)
    if found is None:
        raise AssetNotFound()
    return check_rights(found.id, found.rights, territory, at or now())


def _usage_view(user: AssetUser) -> AssetUseView:
    return AssetUseView(
        kind=user.kind, id=user.user_id, name=user.name, organization_id=user.organization_id
    )
