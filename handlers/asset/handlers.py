"""One method per command: load, decide, stage."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.asset.commands import (
    DeleteAsset,
    DetachProject,
    ProcessAsset,
    PurgeAssets,
    RegisterAsset,
    SweepBlob,
    UpdateAsset,
)
from contracts.asset.errors import AssetNotFound
from contracts.asset.events import (
    AssetDeleted,
    AssetFailed,
    AssetReady,
    AssetUpdated,
    AssetUploaded,
)
from contracts.asset.views import AssetView
from contracts.errors import Retry
from handlers.asset.documents import Asset, Blob, Media, StoredRendition
from handlers.asset.queries import asset_view
from handlers.asset.rules import PIPELINE, blob_key, rendition_key, rendition_prefix
from infra.breaker import DependencyUnavailable
from infra.images import ImagePipeline, ImageRejected
from infra.object_store import ObjectNotFound, ObjectStore, StoreFull

AT_ONCE = 100
"""Assets changed by one command that walks through many."""


@asynccontextmanager
async def _patient() -> AsyncIterator[None]:
    """A store that is away or full is waited for."""
    try:
        yield
    except DependencyUnavailable as error:
        raise Retry(error.retry_after, str(error)) from error
    except StoreFull as error:
        raise Retry(30, str(error)) from error


@dataclass(frozen=True, slots=True)
class AssetHandlers:
    """The handlers, with what they need of the outside world."""

    store: ObjectStore
    images: ImagePipeline

    async def register_asset(self, command: RegisterAsset, uow: UnitOfWork) -> AssetView:
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
        asset = Asset(
            id=uow.new_id("ast"),
            organization_id=uow.org,
            project_id=command.project_id,
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
        uow.send(ProcessAsset(asset=asset.id))
        return asset_view(asset)

    async def process_asset(self, command: ProcessAsset, uow: UnitOfWork) -> None:
        asset = await Asset.get(command.asset)
        if asset is None or asset.status != "processing":
            return  # deleted meanwhile, or done before
        blob = await Blob.get(asset.blob_id)
        if blob is None:
            raise Retry(0.5, "the bytes' document is not visible yet")
        if blob.media is None or blob.media.pipeline != PIPELINE:
            media = await self._look_into(asset)
            # Read anew: looking took a while, and only what is written now must be fresh.
            source = asset
            asset, blob = await Asset.get(command.asset), await Blob.get(blob.id)
            if blob is None:
                # Swept while we looked: what we have stored since belongs to nobody.
                uow.send(SweepBlob(organization_id=source.organization_id, blob_id=source.blob_id))
                return
            if asset is None:
                return
            blob.media = media
            uow.save(blob)
        self._conclude(asset, blob.media or Media(pipeline=PIPELINE), uow)

    def _conclude(self, asset: Asset, media: Media, uow: UnitOfWork) -> None:
        asset.media = media
        asset.status = "failed" if media.error_code else "ready"
        uow.save(asset)
        if media.error_code:
            uow.emit(
                AssetFailed(
                    asset_id=asset.id,
                    project_id=asset.project_id,
                    name=asset.name,
                    code=media.error_code,
                    detail=media.error_detail or "",
                ),
                asset,
            )
            return
        uow.emit(
            AssetReady(
                asset_id=asset.id,
                project_id=asset.project_id,
                name=asset.name,
                kind=asset.kind,
                media_type=asset.media_type,
                width=media.width,
                height=media.height,
                renditions=tuple(rendition.name for rendition in media.renditions),
            ),
            asset,
        )

    async def _look_into(self, asset: Asset) -> Media:
        if asset.kind != "image":
            return Media(pipeline=PIPELINE)
        async with _patient():
            with tempfile.TemporaryDirectory(prefix="grid8-") as folder:
                source, into = Path(folder) / "original", Path(folder) / "renditions"
                into.mkdir()
                try:
                    await self.store.fetch(blob_key(asset.organization_id, asset.blob_id), source)
                except ObjectNotFound:
                    return Media(
                        pipeline=PIPELINE,
                        error_code="asset.bytes_missing",
                        error_detail="The stored bytes are gone.",
                    )
                try:
                    rendered = await self.images.render(source, into)
                except ImageRejected as rejection:
                    return Media(
                        pipeline=PIPELINE,
                        error_code=rejection.code,
                        error_detail=rejection.detail,
                    )
                stored = []
                for each in rendered.renditions:
                    key = rendition_key(asset.organization_id, asset.blob_id, each.name)
                    await self.store.write_file(key, each.path, media_type=each.media_type)
                    stored.append(
                        StoredRendition(
                            name=each.name,
                            key=key,
                            width=each.width,
                            height=each.height,
                            media_type=each.media_type,
                            bytes=each.bytes,
                        )
                    )
        return Media(
            pipeline=PIPELINE,
            width=rendered.width,
            height=rendered.height,
            placeholder=rendered.placeholder,
            dominant_color=rendered.dominant_color,
            renditions=stored,
        )

    async def update_asset(self, command: UpdateAsset, uow: UnitOfWork) -> AssetView:
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

    async def delete_asset(self, command: DeleteAsset, uow: UnitOfWork) -> None:
        asset = await _asset(command.asset, uow)
        check_revision(asset, command.if_revision)
        await _remove(asset, uow)

    async def sweep_blob(self, command: SweepBlob, _: UnitOfWork) -> None:
        if await Blob.get(command.blob_id) is not None:
            return  # taken after all
        async with _patient():
            prefix = rendition_prefix(command.organization_id, command.blob_id)
            keys = [stat.key async for stat in self.store.list(prefix)]
            keys.append(blob_key(command.organization_id, command.blob_id))
            await self.store.delete(keys)

    async def detach_project(self, command: DetachProject, uow: UnitOfWork) -> None:
        assets = await Asset.find({"project_id": command.project_id}).limit(AT_ONCE).to_list()
        for asset in assets:
            asset.project_id = None
            uow.save(asset)
            uow.emit(_updated(asset), asset, org=asset.organization_id)
        if len(assets) == AT_ONCE:
            uow.send(command)

    async def purge_assets(self, command: PurgeAssets, uow: UnitOfWork) -> None:
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
