"""Whatever is done in whatever order: each blob counts who has it, and bytes are there or gone."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable

import pytest

from contracts.actor import Actor
from contracts.asset.commands import (
    AddVersion,
    ChangeAssets,
    DeleteAsset,
    EmptyTrash,
    ProcessAsset,
    PurgeAsset,
    PurgeDue,
    RemoveVersion,
    RestoreAsset,
    RestoreVersion,
)
from contracts.types import new_id, now
from handlers.asset.documents import Asset, AssetVersion
from handlers.asset.rules import blob_key
from infra.settings.assets import LibrarySettings
from tests.bus.desk import Refused
from tests.handlers.asset.conftest import Library
from tests.handlers.asset.test_asset_handlers import chunks
from tests.handlers.asset.versioned import EDITOR, OTHER, check_references, upload

CONTENTS = [b"one", b"two", b"three", b"four", b"broken one", b"broken two"]
"""Few, so that assets, versions and what is in the trash share them."""
LIMIT = 3

EXPECTED = {
    "asset.not_found",
    "asset.version_unchanged",
    "asset.version_not_found",
    "asset.version_not_ready",
    "asset.version_current",
    "asset.version_kind_differs",
}


@pytest.fixture
def settings() -> LibrarySettings:
    return LibrarySettings(versions=LIMIT)


class Deeds:
    """Things somebody may do, at random."""

    def __init__(self, library: Library, seed: int) -> None:
        self.library = library
        self.random = random.Random(seed)
        self.assets: list[tuple[str, Actor]] = []

    async def some(self) -> None:
        deeds: list[Callable[[], Awaitable[object]]] = [
            self.upload, self.add, self.add, self.add, self.restore_version, self.remove_version,
            self.delete, self.undelete, self.undelete, self.purge, self.due, self.bulk, self.work,
            self.work, self.empty,
        ]  # fmt: skip
        weights = [3] * (len(deeds) - 1) + [1]
        deed = self.random.choices(deeds, weights)[0]
        try:
            await deed()
        except Refused as refused:
            if refused.code not in EXPECTED:
                raise

    def one(self) -> tuple[str, Actor]:
        return self.random.choice(self.assets) if self.assets else ("ast_none", EDITOR)

    async def upload(self) -> None:
        actor = self.random.choice([EDITOR, EDITOR, OTHER])
        data = self.random.choice(CONTENTS)
        self.assets.append(((await upload(self.library, data, actor=actor))["id"], actor))

    async def add(self) -> None:
        asset, actor = self.one()
        data, blob = self.random.choice(CONTENTS), new_id("blb")
        key = blob_key(actor.tenant, blob)
        await self.library.store.write(key, chunks(data), media_type="image/png", limit=1000)
        command = AddVersion(
            asset=asset,
            blob_id=blob,
            media_type="image/png",
            kind="image",
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        try:
            await self.library.do(command, actor)
        except Refused:
            await self.library.store.delete([key])  # as the gateway does
            raise

    async def restore_version(self) -> None:
        asset, actor = self.one()
        command = RestoreVersion(asset=asset, version=self.random.randint(1, 9))
        await self.library.do(command, actor)

    async def remove_version(self) -> None:
        asset, actor = self.one()
        command = RemoveVersion(asset=asset, version=self.random.randint(1, 9))
        await self.library.do(command, actor)

    async def delete(self) -> None:
        asset, actor = self.one()
        await self.library.do(DeleteAsset(asset=asset), actor)

    async def undelete(self) -> None:
        asset, actor = self.one()
        await self.library.do(RestoreAsset(asset=asset), actor)

    async def purge(self) -> None:
        asset, actor = self.one()
        await self.library.do(PurgeAsset(asset=asset), actor)

    async def due(self) -> None:
        asset, _ = self.one()
        if self.random.random() < 0.3:
            await Asset.get_pymongo_collection().update_one(
                {"_id": asset, "purge_at": {"$exists": True}}, {"$set": {"purge_at": now()}}
            )
        await self.library.do(PurgeDue(asset=asset))

    async def bulk(self) -> None:
        asset, actor = self.one()
        ids = {asset, *(self.one()[0] for _ in range(2))}
        await self.library.do(ChangeAssets(ids=tuple(ids), operation="delete"), actor)

    async def empty(self) -> None:
        await self.library.do(EmptyTrash(), self.random.choice([EDITOR, OTHER]))

    async def work(self) -> None:
        """Some of what waits is carried out, in any order, some of it twice."""
        sent = await self.library.sent()
        self.random.shuffle(sent)
        await asyncio.gather(*(self.library.carry_out(each) for each in sent))
        for each in sent[:2]:
            again = await Asset.find_one({"_id": {"$exists": True}})
            if each.type == "asset.asset.process" and again is not None:
                await self.library.do(ProcessAsset(asset=again.id))


async def check(library: Library) -> None:
    await library.run_sent()
    await check_references(library)
    for asset in await Asset.find().to_list():
        numbers = [asset.number]
        numbers += [
            each.number for each in await AssetVersion.find({"asset_id": asset.id}).to_list()
        ]
        assert len(set(numbers)) == len(numbers), "no number twice"
        assert max(numbers) <= asset.last_number
        assert asset.versions <= LIMIT, asset
        for content in [asset, *await AssetVersion.find({"asset_id": asset.id}).to_list()]:
            assert content.status != "processing", "all was looked into"
            if content.media is not None:
                there = set(await library.stored())
                assert {each.key for each in content.media.renditions} <= there


@pytest.mark.parametrize("seed", range(2))
async def test_counts_are_right_after_anything_in_any_order(library: Library, seed: int) -> None:
    deeds = Deeds(library, seed)
    for _ in range(8):
        for _ in range(6):
            # Two at a time: they meet.
            await asyncio.gather(deeds.some(), deeds.some())
        await check(library)
