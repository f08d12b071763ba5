"""Changes to what the library holds."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.asset.commands import DetachProject, PurgeAssets, UpdateAsset
from contracts.asset.events import AssetUpdated
from contracts.asset.views import AssetView
from handlers.asset.documents import Asset, AssetUser, Folder
from handlers.asset.handlers.holding import hold_folder
from handlers.asset.handlers.loading import load_asset
from handlers.asset.handlers.references import References
from handlers.asset.handlers.removing import remove_for_good
from handlers.asset.queries import asset_view
from handlers.asset.rights import record_rights

AT_ONCE = 100
"""Assets changed by one command that walks through many."""


async def update_asset(command: UpdateAsset, uow: UnitOfWork) -> AssetView:
    asset = await load_asset(command.asset, uow)
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
    if "rights" in command.model_fields_set:
        record_rights(asset, command.rights)
    uow.save(asset)
    uow.emit(updated(asset), asset)
    return asset_view(asset)


async def detach_project(command: DetachProject, uow: UnitOfWork) -> None:
    assets = await Asset.find({"project_id": command.project_id}).limit(AT_ONCE).to_list()
    for asset in assets:
        asset.project_id = None
        uow.save(asset)
        if asset.trashed_at is None:
            uow.emit(updated(asset), asset, org=asset.organization_id)
    if len(assets) == AT_ONCE:
        uow.send(command)


async def purge_assets(command: PurgeAssets, uow: UnitOfWork) -> None:
    wanted = {"organization_id": command.organization_id}
    assets = await Asset.find(wanted).limit(AT_ONCE).to_list()
    references = References(uow)
    for asset in assets:
        await remove_for_good(asset, uow, references)
    await references.settle()
    users = await AssetUser.find(wanted).limit(AT_ONCE).to_list()
    folders = await Folder.find(wanted).limit(AT_ONCE).to_list()
    for each in (*users, *folders):
        uow.remove(each)
    if assets or users or folders:
        uow.send(command)


def updated(asset: Asset) -> AssetUpdated:
    return AssetUpdated(
        asset_id=asset.id,
        project_id=asset.project_id,
        folder_id=asset.folder_id,
        name=asset.name,
        tags=tuple(asset.tags),
    )
