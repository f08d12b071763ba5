"""What is deleted is kept for some days, as it was: it can be restored until then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.asset.commands import (
    DeleteAsset,
    EmptyTrash,
    PurgeAsset,
    PurgeDue,
    PurgeTrash,
    RestoreAsset,
)
from contracts.asset.events import AssetDeleted
from contracts.asset.views import AssetView
from contracts.types import now
from handlers.asset.documents import Asset
from handlers.asset.handlers.loading import load_asset, load_trashed
from handlers.asset.handlers.references import References
from handlers.asset.handlers.removing import remove_for_good
from handlers.asset.handlers.usage import bring_back, refuse_used
from handlers.asset.queries import asset_view

AT_ONCE = 50
"""Assets removed by one command that walks through many."""


@dataclass(frozen=True, slots=True)
class Trash:
    """The handlers, with the days that the trash is kept; 0: there is none."""

    days: int

    async def delete_asset(self, command: DeleteAsset, uow: UnitOfWork) -> None:
        asset = await load_asset(command.asset, uow)
        check_revision(asset, command.if_revision)
        references = References(uow)
        await self.discard(asset, uow, references)
        await references.settle()

    async def discard(self, asset: Asset, uow: UnitOfWork, references: References) -> None:
        """Stage that an asset leaves the library. Raises AssetInUse, having staged nothing."""
        await refuse_used(asset)
        if self.days == 0:
            await remove_for_good(asset, uow, references)
            return
        asset.trashed_at = now()
        asset.trashed_by = uow.message.actor
        asset.purge_at = asset.trashed_at + timedelta(days=self.days)
        uow.save(asset)
        uow.emit(AssetDeleted(asset_id=asset.id, project_id=asset.project_id), asset)


async def restore_asset(command: RestoreAsset, uow: UnitOfWork) -> AssetView:
    asset = await load_trashed(command.asset, uow)
    check_revision(asset, command.if_revision)
    await bring_back(asset, uow)
    return asset_view(asset)


async def purge_asset(command: PurgeAsset, uow: UnitOfWork) -> None:
    asset = await load_trashed(command.asset, uow)
    check_revision(asset, command.if_revision)
    await _remove([asset], uow)


async def empty_trash(_: EmptyTrash, uow: UnitOfWork) -> None:
    uow.send(PurgeTrash(organization_id=uow.org, before=now()))


async def purge_trash(command: PurgeTrash, uow: UnitOfWork) -> None:
    # Not what is thrown away while it is emptied.
    wanted = {"organization_id": command.organization_id, "trashed_at": {"$lte": command.before}}
    assets = await Asset.find(wanted).limit(AT_ONCE).to_list()
    await _remove(assets, uow)
    if len(assets) == AT_ONCE:
        uow.send(command)


async def purge_due(command: PurgeDue, uow: UnitOfWork) -> None:
    asset = await Asset.get(command.asset)
    if asset is not None and asset.purge_at is not None and asset.purge_at <= now():
        await _remove([asset], uow)


async def _remove(assets: list[Asset], uow: UnitOfWork) -> None:
    references = References(uow)
    for asset in assets:
        await remove_for_good(asset, uow, references)
    await references.settle()
