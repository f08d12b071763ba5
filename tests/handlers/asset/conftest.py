from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bus.broker import connect
from contracts import sealed
from handlers.asset.handlers import Rebuilding, Uploads
from handlers.asset.queries import use_signer
from handlers.asset.queries.views import _signers
from handlers.asset.worker import REACTIONS, commands_of, library_commands, rebuilding_of
from infra.images import ImageRejected, Rendered, Rendition
from infra.images.pipeline import Progress
from infra.object_store.local import LocalStore
from infra.settings import AssetSettings
from infra.settings.assets import LibrarySettings
from infra.signing import FileSigner
from infra.staged_uploads import StagedUploads
from tests.bus.desk import Desk, desk


@dataclass
class Images:
    """Stands in for the pipeline, whose own tests are in tests/infra: any bytes are a picture,
    unless they begin with ``broken``."""

    rendered: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def render(self, source: Path, into: Path, progress: Progress | None = None) -> Rendered:
        self.rendered += 1
        self.begun.set()
        await self.gate.wait()
        if source.read_bytes().startswith(b"broken"):
            raise ImageRejected("asset.image_corrupt", "It ends too early.")
        if progress is not None:
            await progress(0, 1)
        path = into / "320.webp"
        path.write_bytes(b"small")
        if progress is not None:
            await progress(1, 1)
        return Rendered(
            media_type="image/png",
            width=640,
            height=480,
            frames=1,
            renditions=[Rendition("320.webp", 320, 240, "image/webp", path, 5)],
            placeholder="data:image/webp;base64,AA",
            dominant_color="#112233",
        )


@dataclass
class Library(Desk):
    """Asset's desk, with a real local store."""

    store: LocalStore
    images: Images
    uploads: Uploads
    rebuilding: Rebuilding

    async def stored(self) -> list[str]:
        return [stat.key async for stat in self.store.list("")]


@pytest.fixture
async def library(
    mongo_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Library]:
    monkeypatch.setattr(sealed, "_keys", [])
    sealed.use_keys([os.urandom(32)])
    before = list(_signers)
    use_signer(FileSigner("http://127.0.0.1", [b"k" * 32], 3600))
    store, images = LocalStore(tmp_path / "objects"), Images()
    images.gate.set()
    await store.start()
    redis: Redis = connect(redis_url.removesuffix("/0") + "/4")
    uploads = Uploads(store, StagedUploads(redis, expire=60, most=5))
    rebuilding = rebuilding_of(store, images, AssetSettings(), kept=0)  # type: ignore[arg-type]
    table: dict[Any, Any] = {
        **commands_of(store, rebuilding, uploads),
        **library_commands(LibrarySettings()),
        **REACTIONS,
    }
    async with desk("asset", table, mongo_url=mongo_url, redis_url=redis_url, logical=4) as made:
        yield Library(
            made.domain,
            made.redis,
            made.database,
            made.publisher,
            made.committer,
            made.handling,
            store,
            images,
            uploads,
            rebuilding,
        )
    await redis.aclose()
    await store.close()
    _signers[:] = before
