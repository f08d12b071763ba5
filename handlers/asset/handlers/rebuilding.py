"""Renditions made anew after the pipeline has changed, and the end of those of before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import SweepBlob, SweepRenditions
from contracts.asset.errors import VersionKindDiffers
from contracts.asset.events import AssetUploaded, VersionAdded, VersionRestored
from contracts.base import Command
from contracts.errors import Retry
from contracts.types import now
from handlers.asset.documents import Asset, AssetVersion, Blob, Content
from handlers.asset.handlers.blobs import Blobs
from handlers.asset.handlers.patience import patient
from handlers.asset.handlers.processing import Processing
from handlers.asset.rules import rendition_prefix, version_id
from infra.object_store import ObjectStore

log = structlog.get_logger(__name__)

_WHY = {"error_code", "error_detail"}
AT_ONCE = 100
"""Assets that are shown their new renditions by one command; blobs swept at one ring."""

FIRST = 1
"""The number of the version that an asset is made with."""


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """The handlers, with what they need of the outside world.

    ``kept`` is how many seconds renditions stay after they were made anew, because somebody
    may have a URL of them; ``at_once`` how many assets are rendered at a time.
    """

    store: ObjectStore
    processing: Processing
    kept: float
    at_once: int = 1
    turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        # A replay hands in many at once: uploads must find a rendering process all the same.
        object.__setattr__(self, "turns", asyncio.Semaphore(self.at_once))

    async def rebuild_renditions(
        self, event: AssetUploaded | VersionAdded | VersionRestored, uow: UnitOfWork
    ) -> None:
        """Look into the bytes of an upload again, unless the pipeline has; only a replay asks.

        The asset stays as it is until that is done, and for good where its renditions were
        fine and now none can be made. One that had failed gets another chance. The first
        upload stands for what the asset shows too, which a version came to by other events.
        """
        asset = await Asset.get(event.asset_id)
        if asset is None or asset.status == "processing":
            return  # whoever processes it now does so with this pipeline
        first = isinstance(event, AssetUploaded)
        found = await self._rebuild_shown(asset, uow) if first else None
        number = FIRST if isinstance(event, AssetUploaded) else event.number
        if number != asset.number:
            await self._rebuild_version(version_id(asset.id, number), found, uow)

    async def _rebuild_shown(self, asset: Asset, uow: UnitOfWork) -> Blob | None:
        blob = await self._renewed(asset, uow)
        shown = await Asset.get(asset.id)
        if blob is None or shown is None or shown.status == "processing":
            return blob
        if shown.blob_id != blob.id:
            raise Retry(0.2, "the asset has other bytes now")
        if blob.media is not None and shown.media != blob.media:
            self.processing.conclude(shown, blob.media, uow)
        return blob

    async def _rebuild_version(self, id: str, found: Blob | None, uow: UnitOfWork) -> None:
        version = await AssetVersion.get(id)
        if version is None or version.status == "processing" or _is_of_another_kind(version):
            return
        same = found is not None and found.id == version.blob_id  # restored, it shares its bytes
        blob = found if same else await self._renewed(version, uow)
        asset, version = await Asset.get(version.asset_id), await AssetVersion.get(id)
        if blob is None or blob.media is None or asset is None or version is None:
            return
        if version.media == blob.media:
            return
        if version.status == "ready":
            version.media = blob.media
            uow.save(version)
        else:
            await self.processing.versions.conclude(asset, version, blob.media, uow)

    async def _renewed(self, content: Content, uow: UnitOfWork) -> Blob | None:
        """The bytes of a content as this pipeline finds them; None when they are gone."""
        async with self.turns:
            blob = await Blob.get(content.blob_id)
            if blob is None or self._is_current(blob):
                return blob
            media = await self.processing.look_into(content)
        blob = await Blob.get(content.blob_id)
        if blob is None:
            # Deleted while we looked. What we have stored since belongs to nobody; no
            # command could say so, for a replay may drop what is sent.
            gone = SweepBlob(organization_id=content.organization_id, blob_id=content.blob_id)
            await Blobs(self.store).sweep_blob(gone, uow)
            return None
        if blob.take(media):
            uow.save(blob)
        else:
            log.warning("rebuild_rejected", asset=content.id, code=media.error_code)
        return blob

    async def sweep_renditions(self, command: SweepRenditions, uow: UnitOfWork) -> None:
        """Remove renditions of earlier pipelines, once no asset shows them any more."""
        blob = await Blob.get(command.blob_id)
        if blob is None or blob.media is None or blob.replaced_at is None:
            return
        current = blob.media.pipeline
        behind = await Asset.find(
            {
                "blob_id": blob.id,
                "status": {"$ne": "processing"},
                "media.pipeline": {"$ne": current},
            }
        ).to_list(AT_ONCE)
        for asset in behind:
            self.processing.conclude(asset, blob.media, uow)
        # So that nobody restores a version to renditions that are gone, nor sees them named by
        # one that was refused for what it is.
        versions = await AssetVersion.find(
            {
                "blob_id": blob.id,
                "media.pipeline": {"$ne": current},
                "$or": [{"status": "ready"}, {"media.renditions.0": {"$exists": True}}],
            }
        ).to_list(AT_ONCE)
        for version in versions:
            why = version.media.model_dump(include=_WHY) if version.media is not None else {}
            version.media = blob.media.model_copy(deep=True, update=why)
            uow.save(version)
        if behind or versions:
            uow.send(command)
            return
        prefix = rendition_prefix(blob.organization_id, blob.id)
        async with patient():
            keys = [stat.key async for stat in self.store.list(prefix)]
            await self.store.delete([k for k in keys if not k.startswith(f"{prefix}{current}/")])
        blob.replaced_at = None
        uow.save(blob)

    async def due(self) -> Sequence[Command]:
        """What is to be swept now."""
        before = now() - timedelta(seconds=self.kept)
        found = await Blob.find({"replaced_at": {"$lte": before}}).to_list(AT_ONCE)
        return [
            SweepRenditions(organization_id=blob.organization_id, blob_id=blob.id) for blob in found
        ]

    def _is_current(self, blob: Blob) -> bool:
        pipeline = self.processing.rendering.pipeline
        media = blob.media
        return media is not None and media.pipeline == pipeline and not media.may_pass


def _is_of_another_kind(version: AssetVersion) -> bool:
    """Whether the version failed for what it is; no pipeline changes that."""
    return version.media is not None and version.media.error_code == VersionKindDiffers.code
