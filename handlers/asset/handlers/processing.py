"""Looking into assets: renditions, or why there are none."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import ProcessAsset, SweepBlob
from contracts.asset.events import AssetFailed, AssetReady
from contracts.errors import Retry
from handlers.asset.documents import Asset, AssetVersion, Blob, Media, StoredRendition
from handlers.asset.handlers.inspecting import Inspecting
from handlers.asset.handlers.patience import patient
from handlers.asset.handlers.versions import Versions
from handlers.asset.rules import PIPELINE, blob_key, rendition_key, version_id
from infra.images import ImagePipeline, ImageRejected
from infra.inspection import is_inspected
from infra.object_store import ObjectNotFound, ObjectStore


@dataclass(frozen=True, slots=True)
class Processing:
    """The handlers, with what they need of the outside world."""

    store: ObjectStore
    images: ImagePipeline
    versions: Versions
    inspecting: Inspecting

    async def process_asset(self, command: ProcessAsset, uow: UnitOfWork) -> None:
        asset, content = await _loaded(command)
        if content is None or content.status != "processing":
            return  # deleted meanwhile, or done before
        blob = await Blob.get(content.blob_id)
        if blob is None:
            raise Retry(0.5, "the bytes' document is not visible yet")
        if blob.media is None or blob.media.pipeline != PIPELINE:
            media = await self._look_into(content)
            # Read anew: looking took a while, and only what is written now must be fresh.
            source = content
            (asset, content), blob = await _loaded(command), await Blob.get(blob.id)
            if blob is None:
                # Swept while we looked: what we have stored since belongs to nobody.
                uow.send(SweepBlob(organization_id=source.organization_id, blob_id=source.blob_id))
                return
            if content is None or content.status != "processing":
                return
            blob.media = media
            uow.save(blob)
        media = blob.media or Media(pipeline=PIPELINE)
        assert asset is not None
        if isinstance(content, Asset):
            self._conclude(content, media, uow)
        else:
            await self.versions.conclude(asset, content, media, uow)

    def _conclude(self, asset: Asset, media: Media, uow: UnitOfWork) -> None:
        asset.media = media
        asset.kind = media.kind or asset.kind
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

    async def _look_into(self, asset: Asset | AssetVersion) -> Media:
        if asset.kind != "image" or is_inspected(asset.media_type):
            return await self.inspecting.look_into(asset)
        async with patient():
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


async def _loaded(command: ProcessAsset) -> tuple[Asset | None, Asset | AssetVersion | None]:
    """The asset, and what holds the version: the asset itself while it shows it."""
    asset = await Asset.get(command.asset)
    if asset is None or asset.number == command.version:
        return asset, asset
    return asset, await AssetVersion.get(version_id(asset.id, command.version))
