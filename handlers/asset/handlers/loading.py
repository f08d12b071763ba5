"""Loading what a command names, in the organization it acts in."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.asset.errors import AssetNotFound
from handlers.asset.documents import IN_LIBRARY, Asset


async def load_asset(asset: str, uow: UnitOfWork) -> Asset:
    """An asset of the library. Raises AssetNotFound, also for one in the trash."""
    found = await Asset.find_one({"_id": asset, "organization_id": uow.org, **IN_LIBRARY})
    if found is None:
        raise AssetNotFound()
    return found


async def load_trashed(asset: str, uow: UnitOfWork) -> Asset:
    """An asset in the trash. Raises AssetNotFound, also for one in the library."""
    wanted = {"_id": asset, "organization_id": uow.org, "trashed_at": {"$ne": None}}
    found = await Asset.find_one(wanted)
    if found is None:
        raise AssetNotFound("There is no such asset in the trash.")
    return found
