"""The end of an asset, with all its versions."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.asset.events import AssetDeleted, AssetPurged
from handlers.asset.documents import Asset, AssetVersion
from handlers.asset.handlers.references import References


async def remove_for_good(asset: Asset, uow: UnitOfWork, references: References) -> None:
    """Stage that an asset goes, and its bytes where no other has them once they are settled."""
    uow.remove(asset)
    references.give_back(asset.blob_id)
    for version in await AssetVersion.find({"asset_id": asset.id}).to_list():
        uow.remove(version)
        references.give_back(version.blob_id)
    about = {"asset_id": asset.id, "project_id": asset.project_id}
    if asset.trashed_at is None:
        uow.emit(AssetDeleted.model_validate(about), asset, org=asset.organization_id)
    uow.emit(AssetPurged.model_validate(about), org=asset.organization_id)
