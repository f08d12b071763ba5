"""The renditions of a picture, from fetching its bytes to storing what was made."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import structlog

from contracts.errors import Retry
from handlers.asset.documents import Content, Media, StoredRendition
from handlers.asset.handlers.patience import patient
from handlers.asset.rules import PIPELINE, blob_key, rendition_key
from infra.images import ImagePipeline, ImageRejected, Rendered
from infra.object_store import ObjectNotFound, ObjectStore

log = structlog.get_logger(__name__)

Stage = Literal["fetch", "decode", "render", "store"]
Tell = Callable[[Content, Stage, int, int], Awaitable[None]]
"""Told how far an asset is: the stage, and how much of it is done of how much there is.

It may be told the same twice, and from the beginning again; what it raises is logged.
"""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


async def tell_nobody(asset: Content, stage: Stage, done: int, total: int) -> None:
    """Where nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """Makes renditions, with what that needs of the outside world.

    ``pipeline`` is the version they are made for. They lie under keys of their own, so doing
    it again, or at the same time, replaces them by equal ones.
    """

    store: ObjectStore
    images: ImagePipeline
    pipeline: int = PIPELINE
    tell: Tell = field(default=tell_nobody)

    async def look_into(self, asset: Content) -> Media:
        """What was made of an asset's bytes, or why nothing can be. Raises Retry."""
        async with patient():
            with tempfile.TemporaryDirectory(prefix="grid8-") as folder:
                source, into = Path(folder) / "original", Path(folder) / "renditions"
                into.mkdir()
                try:
                    return await self._made(asset, source, into)
                except ObjectNotFound:
                    return self._failed("asset.bytes_missing", "The stored bytes are gone.")
                except ImageRejected as rejection:
                    return self._failed(rejection.code, rejection.detail)
                except OSError as error:
                    if error.errno not in _NO_ROOM:
                        raise
                    raise Retry(30, "there is no room to render in") from error

    async def _made(self, asset: Content, source: Path, into: Path) -> Media:
        await self._say(asset, "fetch", 0, 1)
        await self.store.fetch(blob_key(asset.organization_id, asset.blob_id), source)
        await self._say(asset, "fetch", 1, 1)
        await self._say(asset, "decode", 0, 1)

        async def progress(done: int, total: int) -> None:
            if done == 0:
                await self._say(asset, "decode", 1, 1)
            await self._say(asset, "render", done, total)

        rendered = await self.images.render(source, into, progress)
        return Media(
            pipeline=self.pipeline,
            width=rendered.width,
            height=rendered.height,
            placeholder=rendered.placeholder,
            dominant_color=rendered.dominant_color,
            renditions=await self._stored(asset, rendered),
        )

    async def _stored(self, asset: Content, rendered: Rendered) -> list[StoredRendition]:
        stored: list[StoredRendition] = []
        total = len(rendered.renditions)
        for each in rendered.renditions:
            await self._say(asset, "store", len(stored), total)
            key = rendition_key(asset.organization_id, asset.blob_id, each.name, self.pipeline)
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
        await self._say(asset, "store", total, total)
        return stored

    def _failed(self, code: str, detail: str) -> Media:
        return Media(pipeline=self.pipeline, error_code=code, error_detail=detail)

    async def _say(self, asset: Content, stage: Stage, done: int, total: int) -> None:
        try:
            await self.tell(asset, stage, done, total)
        except Exception as error:
            # Nobody's picture fails because nobody could be told of it.
            log.warning("progress_not_told", asset=asset.id, reason=str(error)[:300])
