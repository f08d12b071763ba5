"""Changes to what the library holds."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.asset.commands import DeleteAsset, DetachProject, PurgeAssets, SweepBlob, UpdateAsset
from contracts.asset.errors import AssetNotFound
from contracts.asset.events import AssetDeleted, AssetUpdated
from contracts.asset.views import AssetView
from handlers.asset.documents import Asset, Blob
from handlers.asset.queries import asset_view

AT_ONCE = 100
"""Assets changed by one command that walks through many."""


async def update_asset(command: UpdateAsset, uow: UnitOfWork) -> AssetView:
    asset = await _asset(command.asset, uow)
    check_revision(asset, command.if_revision)
    if command.name is not None:
        asset.name = command.name
    if command.tags is not None:
        asset.tags = list(command.tags)
    if "project_id" in command.model_fields_set:
        asset.project_id = command.project_id
    uow.save(asset)
    uow.emit(_updated(asset), asset)
    return asset_view(asset)


async def delete_asset(command: DeleteAsset, uow: UnitOfWork) -> None:
    asset = await _asset(command.asset, uow)
    check_revision(asset, command.if_revision)
    await _remove(asset, uow)


async def detach_project(command: DetachProject, uow: UnitOfWork) -> None:
    assets = await Asset.find({"project_id": command.project_id}).limit(AT_ONCE).to_list()
    for asset in assets:
        asset.project_id = None
        uow.save(asset)
        uow.emit(_updated(asset), asset, org=asset.organization_id)
    if len(assets) == AT_ONCE:
        uow.send(command)


async def purge_assets(command: PurgeAssets, uow: UnitOfWork) -> None:
    # One blob at a time may be shared by several of these: each is changed once a unit.
    found = Asset.find({"organization_id": command.organization_id}).limit(AT_ONCE)
    assets = {asset.blob_id: asset for asset in await found.to_list()}
    for asset in assets.values():
        await _remove(asset, uow)
    if assets:
        uow.send(command)


async def _asset(asset: str, uow: UnitOfWork) -> Asset:
    found = await Asset.find_one({"_id": asset, "organization_id": uow.org})
    if found is None:
        raise AssetNotFound()
    return found


def _updated(asset: Asset) -> AssetUpdated:
    return AssetUpdated(
        asset_id=asset.id,
        project_id=asset.project_id,
        name=asset.name,
        tags=tuple(asset.tags),
    )


async def _remove(asset: Asset, uow: UnitOfWork) -> None:
    """Stage the end of an asset, and of its bytes when no other asset has them."""
    uow.remove(asset)
    blob = await Blob.get(asset.blob_id)
    if blob is not None and blob.references <= 1:
        uow.remove(blob)
        uow.send(SweepBlob(organization_id=asset.organization_id, blob_id=blob.id))
    elif blob is not None:
        blob.references -= 1
        uow.save(blob)
    uow.emit(
        AssetDeleted(asset_id=asset.id, project_id=asset.project_id),
        asset,
        org=asset.organization_id,
    )
