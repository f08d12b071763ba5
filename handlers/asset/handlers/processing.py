"""Looking into assets: renditions, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass, field

from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import ProcessAsset, SweepBlob
from contracts.asset.events import AssetFailed, AssetReady
from contracts.errors import Retry
from handlers.asset.documents import Asset, AssetVersion, Blob, Content, Media
from handlers.asset.handlers.inspecting import Inspecting
from handlers.asset.handlers.rendering import Rendering
from handlers.asset.handlers.versions import Versions
from handlers.asset.rules import version_id
from infra.inspection import is_inspected

_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class Processing:
    """The handlers, with what they need of the outside world."""

    rendering: Rendering
    inspecting: Inspecting
    versions: Versions
    lately: dict[tuple[str, str], Media] = field(default_factory=dict)

    async def process_asset(self, command: ProcessAsset, uow: UnitOfWork) -> None:
        asset, content = await _loaded(command)
        if content is None or content.status != "processing":
            return  # deleted meanwhile, or done before
        blob = await Blob.get(content.blob_id)
        if blob is None:
            raise Retry(0.5, "the bytes' document is not visible yet")
        pipeline = self.rendering.pipeline
        if blob.media is None or blob.media.pipeline != pipeline or blob.media.may_pass:
            media = await self.look_into(content)
            # Read anew: looking took a while, and only what is written now must be fresh.
            source = content
            (asset, content), blob = await _loaded(command), await Blob.get(blob.id)
            if blob is None:
                # Swept while we looked: what we have stored since belongs to nobody.
                uow.send(SweepBlob(organization_id=source.organization_id, blob_id=source.blob_id))
                return
            if content is None or content.status != "processing":
                return
            if blob.take(media):
                uow.save(blob)
        found = blob.media or Media(pipeline=pipeline)
        assert asset is not None
        if isinstance(content, Asset):
            self.conclude(content, found, uow)
        else:
            await self.versions.conclude(asset, content, found, uow)

    def conclude(self, asset: Asset, media: Media, uow: UnitOfWork) -> None:
        """Stage that an asset is ready, or has failed."""
        waited_for = asset.status == "processing"  # else it is only made anew
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
                    uploaded_by=asset.created_by,
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
                version=asset.number,
                uploaded_by=asset.created_by,
                uploaded_at=asset.created_at if waited_for else None,
            ),
            asset,
        )

    async def look_into(self, asset: Content) -> Media:
        """What an asset's bytes are, by its kind. Raises Retry when that cannot be told now.

        A handler that is run again, or for another asset of the same bytes, is told what was
        found a moment ago.
        """
        key = (asset.blob_id, asset.kind)
        if key in self.lately:
            return self.lately[key].model_copy(deep=True)
        if asset.kind != "image" or is_inspected(asset.media_type):
            media = await self.inspecting.look_into(asset)
        else:
            media = await self.rendering.look_into(asset)
        media = media.model_copy(update={"pipeline": self.rendering.pipeline})
        if media.error_code is None:
            self.lately[key] = media.model_copy(deep=True)
            while len(self.lately) > _REMEMBERED:
                del self.lately[next(iter(self.lately))]
        return media


async def _loaded(command: ProcessAsset) -> tuple[Asset | None, Content | None]:
    """The asset, and what holds the version: the asset itself while it shows it."""
    asset = await Asset.get(command.asset)
    if asset is None or asset.number == command.version:
        return asset, asset
    return asset, await AssetVersion.get(version_id(asset.id, command.version))
