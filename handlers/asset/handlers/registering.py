"""Bytes that were stored become assets."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import ProcessAsset, RegisterAsset, SweepBlob
from contracts.asset.events import AssetReady, AssetUploaded
from contracts.asset.views import AssetView
from handlers.asset.documents import Asset, Blob, Media
from handlers.asset.handlers.holding import hold_folder
from handlers.asset.kinds import tells_more
from handlers.asset.queries import asset_view
from handlers.asset.rules import PIPELINE


async def register_asset(command: RegisterAsset, uow: UnitOfWork) -> AssetView:
    blob = await Blob.find_one({"organization_id": uow.org, "sha256": command.sha256})
    if blob is None:
        blob = Blob(
            id=command.blob_id,
            organization_id=uow.org,
            sha256=command.sha256,
            bytes=command.bytes,
            media_type=command.media_type,
        )
        uow.add(blob)
    else:
        blob.references += 1
        uow.save(blob)
        if blob.id != command.blob_id:
            uow.send(SweepBlob(organization_id=uow.org, blob_id=command.blob_id))
    await hold_folder(command.folder_id, uow)
    asset = Asset(
        id=uow.new_id("ast"),
        organization_id=uow.org,
        project_id=command.project_id,
        folder_id=command.folder_id,
        created_by=uow.message.actor,
        blob_id=blob.id,
        name=command.name,
        kind=command.kind,
        media_type=command.media_type,
        bytes=command.bytes,
        sha256=command.sha256,
        tags=list(command.tags),
    )
    uow.add(asset)
    uow.emit(
        AssetUploaded(
            asset_id=asset.id,
            project_id=asset.project_id,
            name=asset.name,
            kind=asset.kind,
            media_type=asset.media_type,
            bytes=asset.bytes,
            sha256=asset.sha256,
        ),
        asset,
    )
    if tells_more(asset.kind, asset.media_type):
        uow.send(ProcessAsset(asset=asset.id))
    else:
        _ready_at_once(asset, uow)
    return asset_view(asset)


def _ready_at_once(asset: Asset, uow: UnitOfWork) -> None:
    """There is nothing to look into, and so nothing to wait for."""
    asset.media = Media(pipeline=PIPELINE)
    asset.status = "ready"
    uow.emit(
        AssetReady(
            asset_id=asset.id,
            project_id=asset.project_id,
            name=asset.name,
            kind=asset.kind,
            media_type=asset.media_type,
        ),
        asset,
    )
