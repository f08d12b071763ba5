"""Changes to what the library holds."""

from __future__ import annotations

from collections import Counter

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.asset.commands import DeleteAsset, DetachProject, PurgeAssets, SweepBlob, UpdateAsset
from contracts.asset.errors import AssetNotFound
from contracts.asset.events import AssetDeleted, AssetUpdated
from contracts.asset.views import AssetView
from handlers.asset.documents import Asset, Blob, Folder
from handlers.asset.handlers.holding import hold_folder
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
    if "folder_id" in command.model_fields_set:
        await hold_folder(command.folder_id, uow)
        asset.folder_id = command.folder_id
    uow.save(asset)
    uow.emit(updated(asset), asset)
    return asset_view(asset)


async def delete_asset(command: DeleteAsset, uow: UnitOfWork) -> None:
    asset = await _asset(command.asset, uow)
    check_revision(asset, command.if_revision)
    removal = Removal(uow)
    await removal.discard(asset)
    await removal.settle()


async def detach_project(command: DetachProject, uow: UnitOfWork) -> None:
    assets = await Asset.find({"project_id": command.project_id}).limit(AT_ONCE).to_list()
    for asset in assets:
        asset.project_id = None
        uow.save(asset)
        uow.emit(updated(asset), asset, org=asset.organization_id)
    if len(assets) == AT_ONCE:
        uow.send(command)


async def purge_assets(command: PurgeAssets, uow: UnitOfWork) -> None:
    wanted = {"organization_id": command.organization_id}
    removal = Removal(uow)
    assets = await Asset.find(wanted).limit(AT_ONCE).to_list()
    for asset in assets:
        await removal.discard(asset)
    await removal.settle()
    folders = await Folder.find(wanted).limit(AT_ONCE).to_list()
    for folder in folders:
        uow.remove(folder)
    if assets or folders:
        uow.send(command)


async def _asset(asset: str, uow: UnitOfWork) -> Asset:
    found = await Asset.find_one({"_id": asset, "organization_id": uow.org})
    if found is None:
        raise AssetNotFound()
    return found


def updated(asset: Asset) -> AssetUpdated:
    return AssetUpdated(
        asset_id=asset.id,
        project_id=asset.project_id,
        folder_id=asset.folder_id,
        name=asset.name,
        tags=tuple(asset.tags),
    )


class Removal:
    """Assets that leave the library in one unit. Each blob is written once, by ``settle``."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._given_back: Counter[str] = Counter()

    async def discard(self, asset: Asset) -> None:
        """Stage the end of an asset."""
        uow = self._uow
        uow.remove(asset)
        self._given_back[asset.blob_id] += 1
        uow.emit(
            AssetDeleted(asset_id=asset.id, project_id=asset.project_id),
            asset,
            org=asset.organization_id,
        )

    async def settle(self) -> None:
        """Stage that bytes which no other asset has go too."""
        uow = self._uow
        for id, number in self._given_back.items():
            blob = await Blob.get(id)
            if blob is None:
                continue
            blob.references -= number
            if blob.references > 0:
                uow.save(blob)
            else:
                uow.remove(blob)
                uow.send(SweepBlob(organization_id=blob.organization_id, blob_id=blob.id))
