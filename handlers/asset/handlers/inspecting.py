"""Facts of what is not drawn: archives, documents, fonts, video and audio."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from handlers.asset.documents import Content, Media
from handlers.asset.handlers.patience import patient
from handlers.asset.rules import PIPELINE, blob_key
from infra.inspection import FileRejected, Inspector, is_inspected
from infra.object_store import ObjectNotFound, ObjectStore


@dataclass(frozen=True, slots=True)
class Inspecting:
    """What looks into files, with what it needs of the outside world.

    ``most`` is how many bytes are fetched of what lies elsewhere and has nothing to be afraid of.
    """

    store: ObjectStore
    inspector: Inspector
    most: int

    async def look_into(self, asset: Content) -> Media:
        """What an asset's bytes say, or why they are refused."""
        how = is_inspected(asset.media_type)
        if how is None:
            return Media(pipeline=PIPELINE)
        key = blob_key(asset.organization_id, asset.blob_id)
        local = self.store.local_path(key)
        if local is None and how != "zip" and asset.bytes > self.most:
            return Media(pipeline=PIPELINE)
        try:
            if local is not None:
                return await self._of(local, asset)
            async with patient():
                with tempfile.TemporaryDirectory(prefix="grid8-") as folder:
                    source = Path(folder) / "original"
                    await self.store.fetch(key, source)
                    return await self._of(source, asset)
        except FileRejected as rejection:
            return Media(
                pipeline=PIPELINE, error_code=rejection.code, error_detail=rejection.detail
            )
        except (ObjectNotFound, FileNotFoundError):
            return Media(
                pipeline=PIPELINE,
                error_code="asset.bytes_missing",
                error_detail="The stored bytes are gone.",
            )

    async def _of(self, source: Path, asset: Content) -> Media:
        facts = asdict(await self.inspector.inspect(source, asset.media_type))
        is_ad = facts.pop("html5") and asset.kind == "archive"
        return Media(pipeline=PIPELINE, kind="html5" if is_ad else None, **facts)
