"""Pictures made of pictures, when they are first asked for."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import RenderTransform, SweepBlob
from contracts.asset.errors import BytesMissing, FileNotFound, ImageFailed, TransformLater
from contracts.asset.transforms import TransformMade
from contracts.errors import DomainError, Retry
from handlers.asset.documents import Blob
from handlers.asset.rules import blob_key, transform_formats, transform_key, transform_prefix
from infra.breaker import DependencyUnavailable
from infra.images import ImagePipeline, ImageRejected, Wanted
from infra.object_store import ObjectNotFound, ObjectStore, StoreFull
from infra.render_notes import RenderNotes

log = structlog.get_logger(__name__)

ROOM = 16
"""Renderings that one worker has in hand or waiting: the other slots of the lane are for others."""


@dataclass(slots=True)
class Transforms:
    """The handler, with what it needs of the outside world. ``kept`` is how many of one original
    are stored."""

    store: ObjectStore
    images: ImagePipeline
    notes: RenderNotes
    kept: int
    _running: dict[str, asyncio.Task[TransformMade]] = field(default_factory=dict)

    async def render_transform(
        self, command: RenderTransform, uow: UnitOfWork
    ) -> TransformMade | DomainError:
        if not await self._has_bytes(command):
            raise FileNotFound()
        made = await self._shared(command)
        if not await self._has_bytes(command):
            # Swept while we rendered: what we have stored since belongs to nobody.
            uow.send(SweepBlob(organization_id=command.organization_id, blob_id=command.blob_id))
            return FileNotFound()
        return made

    async def close(self) -> None:
        """End what is being rendered: whoever comes next for it begins anew."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _has_bytes(self, command: RenderTransform) -> bool:
        wanted = {"_id": command.blob_id, "organization_id": command.organization_id}
        return await Blob.find(wanted).exists()

    async def _shared(self, command: RenderTransform) -> TransformMade:
        """One rendering, however many commands ask for it at once; it outlives them."""
        picture = _picture(command)
        running = self._running.get(picture)
        if running is None:
            if len(self._running) >= ROOM:
                raise Retry(0.3, "there are many to be rendered")
            running = asyncio.create_task(self._once(command, picture), name=f"render {picture}")
            self._running[picture] = running
            running.add_done_callback(lambda task: self._ended(picture, task))
        return await asyncio.shield(running)

    def _ended(self, picture: str, task: asyncio.Task[TransformMade]) -> None:
        del self._running[picture]
        if not task.cancelled():
            task.exception()  # whoever still waits is told; it is no secret if nobody does

    async def _once(self, command: RenderTransform, picture: str) -> TransformMade:
        """One rendering, however many workers have a command for it."""
        try:
            async with self.notes.alone(picture) as alone:
                if not alone:
                    raise Retry(0.3, "another worker is rendering it")
                if (stored := await self._stored(command)) is not None:
                    return stored
                if (failure := await self.notes.failure(picture)) is not None:
                    raise DomainError.all()[failure.code](failure.detail)
                try:
                    made = await self._render(command)
                except (ImageRejected, RuntimeError) as error:
                    refusal = _refusal(error)
                    await self.notes.failed(picture, refusal.failure())
                    raise refusal from error
                await self._make_room(command, made)
                return made
        except (DependencyUnavailable, StoreFull) as error:
            after = error.retry_after if isinstance(error, DependencyUnavailable) else 30
            raise TransformLater("The object store is not available.", retry_after=after) from error

    async def _stored(self, command: RenderTransform) -> TransformMade | None:
        for format_ in transform_formats(command.format):
            key = _key(command, format_)
            try:
                await self.store.stat(key)
            except ObjectNotFound:
                continue
            return TransformMade.model_validate({"key": key, "format": format_})
        return None

    async def _render(self, command: RenderTransform) -> TransformMade:
        with tempfile.TemporaryDirectory(prefix="grid8-") as folder:
            into = Path(folder) / "made"
            source = await self._source(command, Path(folder))
            format_ = await self.images.transform(source, into, _wanted(command))
            made = TransformMade.model_validate({"key": _key(command, format_), "format": format_})
            await self.store.write_file(made.key, into, media_type=f"image/{format_}")
        return made

    async def _source(self, command: RenderTransform, folder: Path) -> Path:
        """The original as a file: where it lies, or a copy of it."""
        key = blob_key(command.organization_id, command.blob_id)
        path = self.store.local_path(key)
        try:
            if path is None:
                path = folder / "original"
                await self.store.fetch(key, path)
            else:
                await self.store.stat(key)
        except ObjectNotFound:
            raise BytesMissing() from None
        return path

    async def _make_room(self, command: RenderTransform, made: TransformMade) -> None:
        prefix = transform_prefix(command.organization_id, command.blob_id)
        found = [stat async for stat in self.store.list(prefix)]
        if len(found) > self.kept:
            oldest = sorted(found, key=lambda stat: (stat.key == made.key, stat.modified))
            await self.store.delete([stat.key for stat in oldest[: len(found) - self.kept]])


def _refusal(error: ImageRejected | RuntimeError) -> DomainError:
    if isinstance(error, ImageRejected):
        return DomainError.all()[error.code](error.detail)
    # Ours to mend, and not by trying again and again while somebody waits.
    log.error("transform_failed", reason=str(error))
    return ImageFailed("The picture could not be rendered.")


def _picture(command: RenderTransform) -> str:
    """What is rendered at most once at a time."""
    return _key(command, command.format)


def _key(command: RenderTransform, format_: str) -> str:
    return transform_key(
        command.organization_id,
        command.blob_id,
        command.transform,
        format_,
        still=command.format == "still",
    )


def _wanted(command: RenderTransform) -> Wanted:
    asked = command.transform
    return Wanted(
        mode=asked.mode,
        width=asked.width,
        height=asked.height,
        format=command.format,
        region=asked.box,
        gravity=asked.gravity,
        quality=asked.quality,
        moving=asked.moving,
    )
