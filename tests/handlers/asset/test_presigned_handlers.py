"""Presigned uploads below the gateway: crashes in the middle, and what expires."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aioboto3
import aiohttp
import pytest

from contracts.actor import Actor
from contracts.asset.commands import CompleteUpload, PresignUpload, SweepParts
from contracts.permissions import Role
from contracts.types import new_id, now
from handlers.asset.documents import Asset, PresignedUpload
from handlers.asset.handlers import Leftovers, Presigned
from handlers.asset.rules import blob_key, incoming_key, part_sizes
from handlers.asset.worker import commands_of, leftover_commands, presigned_commands
from infra.breaker import Breakers
from infra.object_store.s3 import S3Store
from infra.quota_ledger import Ledger
from infra.settings import MIB, AssetSettings, BreakerSettings, StoreSettings
from tests.bus.desk import Desk, desk
from tests.infra.s3_servers import moto_server

ORG = "org_1"
ANN = Actor("usr_ann", org=ORG, role=Role.EDITOR)
LARGE = 11 * MIB
GRACE = 60.0


@dataclass
class Store:
    """The desk of asset, its store, and another client of the bucket."""

    desk: Desk
    store: S3Store
    s3: Any
    bucket: str
    presigned: Presigned
    ledger: Ledger

    async def keys(self) -> list[str]:
        return [stat.key async for stat in self.store.list("")]

    async def multiparts(self) -> list[str]:
        return [each.key async for each in self.store.direct().unfinished("orgs/")]

    async def begin(self, size: int, *, ago: float = 0, **more: Any) -> PresignedUpload:
        """Begin an upload as the gateway does, ``ago`` seconds after its URLs expired."""
        upload, blob = new_id("upl"), new_id("blb")
        large = size > 5 * MIB
        multipart = await self.store.direct().begin(blob_key(ORG, blob)) if large else None
        command = PresignUpload(
            filename="a.bin",
            bytes=size,
            upload_id=upload,
            blob_id=blob,
            multipart_id=multipart,
            part_bytes=5 * MIB if large else None,
            expires_at=now() + timedelta(seconds=-ago if ago else 60),
            **more,
        )
        await self.desk.do(command, ANN)
        found = await PresignedUpload.get(upload)
        assert found is not None
        return found

    async def put(self, upload: PresignedUpload, data: bytes) -> None:
        if upload.multipart_id is None:
            key = incoming_key(ORG, upload.id)
            await self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
            return
        sizes, at = part_sizes(upload.bytes, upload.part_bytes), 0
        key = blob_key(ORG, upload.blob_id)
        targets = await self.store.direct().part_targets(key, upload.multipart_id, sizes, 60)
        async with aiohttp.ClientSession() as http:
            for target, size in zip(targets, sizes, strict=True):
                async with http.put(target.url, data=data[at : at + size]) as response:
                    assert response.status == 200
                at += size

    async def complete(self, upload: PresignedUpload) -> Any:
        return await self.desk.do(CompleteUpload(upload_id=upload.id), ANN)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
async def bench(s3_url: str, library: Any, mongo_url: str, redis_url: str) -> AsyncIterator[Store]:
    bucket = f"b-{uuid.uuid4().hex}"
    session = aioboto3.Session(aws_access_key_id="a", aws_secret_access_key="b")
    settings = StoreSettings.model_validate(
        {
            "backend": "s3",
            "bucket": bucket,
            "endpoint_url": s3_url,
            "access_key": "a",
            "secret_key": "b",
            "part_bytes": 5 * MIB,
        }
    )
    async with session.client("s3", endpoint_url=s3_url, region_name="us-east-1") as s3:
        await s3.create_bucket(Bucket=bucket)
        store = S3Store(settings, Breakers(None, BreakerSettings()))
        await store.start()
        ledger = Ledger(library.redis)
        presigned = Presigned(store, ledger, grace=GRACE)
        table = {
            **commands_of(store, library.images, AssetSettings()),
            **presigned_commands(presigned),
        }  # type: ignore[arg-type]
        async with desk(
            "asset",
            table,  # type: ignore[arg-type]
            mongo_url=mongo_url,
            redis_url=redis_url,
            logical=4,
        ) as made:
            yield Store(made, store, s3, bucket, presigned, ledger)
        await store.close()


@pytest.mark.parametrize("died", ["after it was assembled", "after it was kept", "never"])
async def test_a_completion_that_died_is_made_good_by_the_next(bench: Store, died: str) -> None:
    data = os.urandom(LARGE)
    upload = await bench.begin(LARGE)
    await bench.put(upload, data)
    key, id = blob_key(ORG, upload.blob_id), upload.multipart_id
    assert id is not None
    if died != "never":
        direct = bench.store.direct()
        await direct.assemble(key, id, await direct.parts(key, id))
    if died == "after it was kept":
        async with bench.store.read(key) as chunks:
            async for _ in chunks:
                pass
    view = await bench.complete(upload)
    assert view["sha256"] == hashlib.sha256(data).hexdigest()
    assert (await bench.complete(upload))["id"] == view["id"]
    await bench.desk.run_sent()
    assert await Asset.count() == 1
    assert await bench.keys() == [key]
    assert await bench.multiparts() == []


async def test_what_nobody_completes_is_removed_when_its_time_is_over(bench: Store) -> None:
    data = os.urandom(LARGE)
    over = [await bench.begin(size, ago=GRACE + 5) for size in (1000, LARGE)]
    late = [await bench.begin(size, ago=GRACE / 2) for size in (1000, LARGE)]
    for upload in (*over, *late):
        await bench.put(upload, data[: upload.bytes])
    assert len(await bench.multiparts()) == 2
    due = await bench.presigned.due()
    assert {getattr(each, "upload_id", "") for each in due} == {each.id for each in over}
    for command in (*due, *due):
        await bench.desk.do(command)
    await bench.desk.run_sent()
    assert await bench.keys() == [incoming_key(ORG, late[0].id)]
    assert await bench.multiparts() == [blob_key(ORG, late[1].blob_id)]
    assert await bench.desk.code_of(CompleteUpload(upload_id=over[0].id), ANN) == (
        "asset.presigned_not_found"
    )
    for upload in late:
        assert (await bench.complete(upload))["bytes"] == upload.bytes


async def test_a_completed_upload_is_forgotten_and_its_asset_stays(bench: Store) -> None:
    upload = await bench.begin(1000, ago=GRACE / 2)
    await bench.put(upload, os.urandom(1000))
    view = await bench.complete(upload)
    await bench.desk.run_sent()
    kept = await bench.keys()
    assert len(kept) == 1
    found = await PresignedUpload.get(upload.id)
    assert found is not None
    found.expires_at = now() - timedelta(seconds=GRACE + 5)
    await found.replace()
    for command in await bench.presigned.due():
        await bench.desk.do(command)
    await bench.desk.run_sent()
    assert await PresignedUpload.count() == 0
    assert await bench.keys() == kept
    assert await Asset.get(view["id"]) is not None


async def test_bytes_that_are_there_already_are_kept_once(bench: Store) -> None:
    data = os.urandom(LARGE)
    views = []
    for _ in range(2):
        upload = await bench.begin(LARGE)
        await bench.put(upload, data)
        views.append(await bench.complete(upload))
        await bench.desk.run_sent()
    assert views[0]["id"] != views[1]["id"]
    assert len(await bench.keys()) == 1


async def test_the_quota_holds_what_is_verified_until_it_is_counted(bench: Store) -> None:
    upload = await bench.begin(1000)
    await bench.ledger.counted(ORG, 0, (await bench.ledger.read(ORG)).now, [])
    await bench.ledger.hold(ORG, upload.id, 1000, 1000, quota=5000, lease=60, fresh=60)
    await bench.put(upload, os.urandom(1000))
    view = await bench.complete(upload)
    book = await bench.ledger.read(ORG)
    assert (book.held, book.queued) == (1000, {upload.id: view["sha256"]})
    other = await bench.begin(2000, ago=GRACE + 5)
    await bench.ledger.hold(ORG, other.id, 2000, 2000, quota=5000, lease=60, fresh=60)
    for command in await bench.presigned.due():
        await bench.desk.do(command)
    assert (await bench.ledger.read(ORG)).held == 1000


async def test_parts_that_nobody_goes_on_with_are_aborted(bench: Store) -> None:
    under_way = await bench.begin(LARGE)
    abandoned = blob_key(ORG, new_id("blb"))
    direct = bench.store.direct()
    id = await direct.begin(abandoned)
    # When it was begun, this server does not tell; when a part came, it does.
    [target] = await direct.part_targets(abandoned, id, [5], 60)
    async with aiohttp.ClientSession() as http, http.put(target.url, data=b"12345") as put:
        assert put.status == 200
    elsewhere = await bench.s3.create_multipart_upload(Bucket=bench.bucket, Key="others/x")
    assert elsewhere["UploadId"]
    kept = blob_key(ORG, under_way.blob_id)
    for age, left in ((timedelta(hours=1), {kept, abandoned}), (timedelta(0), {kept})):
        swept = Leftovers(bench.store, bench.desk.redis, orphaned=age, abandoned=age)
        bench.desk.handling.table |= leftover_commands(swept)
        bench.desk.handling._wires |= {
            (each.wire, each.wire_version): each for each in bench.desk.handling.table
        }
        assert SweepParts() in await swept.due()
        await bench.desk.do(SweepParts())
        assert set(await bench.multiparts()) == left
    page = await bench.s3.list_multipart_uploads(Bucket=bench.bucket)
    assert "others/x" in {each["Key"] for each in page["Uploads"]}


async def test_a_list_of_a_bucket_begins_after_any_text(bench: Store) -> None:
    keys = ["orgs/o1/a", "orgs/o1/b/1", "orgs/o1-x/a", "orgs/o2/a"]
    for key in keys:
        await bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=b"x")
    for after in ("", "orgs/o1/a", "orgs/o1/b0", "orgs/o10", "z"):
        found = [stat.key async for stat in bench.store.list("orgs/", after=after)]
        assert found == [key for key in sorted(keys) if key > after]
