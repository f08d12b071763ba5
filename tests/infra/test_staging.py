"""What every staging keeps to, over a local folder and over S3 on real HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aioboto3
import pytest

from infra.breaker import Breakers, DependencyUnavailable
from infra.object_store import ObjectNotFound, ObjectStore, StagingBusy, StoreFull, open_store
from infra.object_store.local import LocalStore
from infra.object_store.s3 import S3Store
from infra.settings import MIB, BreakerSettings, StoreSettings
from tests.infra.s3_servers import FlakyS3, moto_server

KEY = "orgs/o1/blobs/b1"
BIG = random.Random(5).randbytes(13 * MIB + 77)
NOTE = {"length": 5, "name": "ä.png"}


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
async def flaky(s3_url: str) -> AsyncIterator[FlakyS3]:
    async with FlakyS3(s3_url).running() as server:
        yield server


async def _bucket(s3_url: str) -> str:
    name = f"test-{uuid.uuid4().hex}"
    async with _client(s3_url) as client:
        await client.create_bucket(Bucket=name)
    return name


def _client(url: str) -> Any:
    return aioboto3.Session().client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )


def _settings(url: str, bucket: str) -> StoreSettings:
    return StoreSettings.model_validate(
        {
            "backend": "s3",
            "bucket": bucket,
            "endpoint_url": url,
            "access_key": "a",
            "secret_key": "b",
            "part_bytes": 5 * MIB,
            "timeout": 10.0,
            "attempts": 2,
        }
    )


@pytest.fixture(params=["local", "s3"])
async def settings(
    request: pytest.FixtureRequest, s3_url: str, flaky: FlakyS3, tmp_path: Path
) -> StoreSettings:
    if request.param == "local":
        return StoreSettings(folder=tmp_path / "objects")
    return _settings(flaky.url, await _bucket(s3_url))


@pytest.fixture
async def store(settings: StoreSettings) -> AsyncIterator[ObjectStore]:
    async with opened(settings) as made:
        yield made


class opened:  # noqa: N801 - reads as what it does
    """A store as another process would open it."""

    def __init__(self, settings: StoreSettings) -> None:
        self._store = open_store(settings, Breakers(None, BreakerSettings(threshold=100)))

    async def __aenter__(self) -> ObjectStore:
        await self._store.start()
        return self._store

    async def __aexit__(self, *_: object) -> None:
        await self._store.close()


def as_text(_: bytes) -> str:
    return "text/plain"


def unseen(_: bytes | memoryview) -> None: ...


async def create(store: ObjectStore, id: str = "u1", key: str = KEY) -> None:
    await store.staging().create("o1", id, key, NOTE, limit=100 * MIB)


async def add(store: ObjectStore, data: bytes, *, seen: Any = unseen, size: int = MIB) -> int:
    async with store.staging().append("o1", "u1", media_type=as_text, seen=seen) as appending:
        for at in range(0, len(data), size):
            await appending.add(data[at : at + size])
        return appending.offset


async def whole(store: ObjectStore, key: str = KEY) -> bytes:
    async with store.read(key) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_what_was_begun_is_found_without_bytes(store: ObjectStore) -> None:
    await create(store)
    found = await store.staging().look("o1", "u1")
    assert (found.key, found.offset, found.completed, found.note) == (KEY, 0, False, NOTE)
    assert abs(datetime.now(UTC) - found.modified) < timedelta(seconds=60)


async def test_another_tenants_and_unknown_ones_are_not_found(store: ObjectStore) -> None:
    await create(store)
    for tenant, id in (("o2", "u1"), ("o1", "u2"), ("o1", "u1.info")):
        with pytest.raises(ObjectNotFound):
            await store.staging().look(tenant, id)
        with pytest.raises(ObjectNotFound):
            async with store.staging().append(tenant, id, media_type=as_text, seen=unseen):
                pass
    for bad in ("..", "a/b", "", "."):
        with pytest.raises(ValueError, match="not an object key"):
            await store.staging().look("o1", bad)


@pytest.mark.parametrize(
    "cuts",
    [(5,), (5 * MIB,), (5 * MIB - 1, 2), (10 * MIB + 1, 1, 1), (1, 1, 5 * MIB), ()],
    ids=str,
)
async def test_pieces_of_any_size_become_the_object(
    settings: StoreSettings, cuts: tuple[int, ...]
) -> None:
    """Each piece by another process."""
    at = 0
    async with opened(settings) as store:
        await create(store)
    for size in (*cuts, len(BIG)):
        async with opened(settings) as store:
            piece = BIG[at : at + size]
            at += len(piece)
            assert await add(store, piece) == at
            assert (await store.staging().look("o1", "u1")).offset == at
    async with opened(settings) as store:
        await store.staging().complete("o1", "u1", media_type=as_text)
        assert await whole(store) == BIG
        found = await store.staging().look("o1", "u1")
        assert (found.completed, found.offset) == (True, len(BIG))
        await store.staging().complete("o1", "u1", media_type=as_text)
        await store.staging().remove("o1", "u1")
        assert await whole(store) == BIG
        assert [each async for each in store.list("staged/")] == []
        with pytest.raises(ObjectNotFound):
            await store.staging().look("o1", "u1")


async def test_one_byte_becomes_an_object(store: ObjectStore) -> None:
    await create(store)
    await add(store, b"x")
    await store.staging().complete("o1", "u1", media_type=as_text)
    assert await whole(store) == b"x"


async def test_what_came_before_a_break_stays(store: ObjectStore) -> None:
    await create(store)

    async def write() -> None:
        async with store.staging().append("o1", "u1", media_type=as_text, seen=unseen) as appending:
            await appending.add(BIG[: 6 * MIB])
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await write()
    assert (await store.staging().look("o1", "u1")).offset == 6 * MIB
    await add(store, BIG[6 * MIB :])
    await store.staging().complete("o1", "u1", media_type=as_text)
    assert await whole(store) == BIG


async def test_what_came_before_it_was_cancelled_stays(store: ObjectStore) -> None:
    await create(store)
    begun = asyncio.Event()

    async def write() -> None:
        async with store.staging().append("o1", "u1", media_type=as_text, seen=unseen) as appending:
            await appending.add(BIG[: 6 * MIB])
            begun.set()
            await asyncio.Event().wait()

    writing = asyncio.create_task(write())
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert (await store.staging().look("o1", "u1")).offset == 6 * MIB


async def test_what_is_kept_is_seen_in_order(store: ObjectStore) -> None:
    await create(store)
    digest = hashlib.sha256()
    await add(store, BIG, seen=digest.update, size=100_001)
    assert digest.digest() == hashlib.sha256(BIG).digest()


async def test_the_note_is_replaced_and_the_bytes_stay(store: ObjectStore) -> None:
    await create(store)
    await add(store, BIG)
    await store.staging().note("o1", "u1", {"length": 7})
    found = await store.staging().look("o1", "u1")
    assert (found.note, found.offset) == ({"length": 7}, len(BIG))


async def test_what_is_removed_leaves_nothing(
    settings: StoreSettings, s3_url: str, tmp_path: Path
) -> None:
    async with opened(settings) as store:
        await create(store)
        await add(store, BIG)
        await store.staging().remove("o1", "u1")
        await store.staging().remove("o1", "u1")
        with pytest.raises(ObjectNotFound):
            await store.staging().look("o1", "u1")
        assert [each async for each in store.staging().list()] == []
    if settings.backend == "local":
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        return
    async with _client(s3_url) as client:
        uploads = await client.list_multipart_uploads(Bucket=settings.bucket)
        objects = await client.list_objects_v2(Bucket=settings.bucket)
        assert (uploads.get("Uploads", []), objects.get("Contents", [])) == ([], [])


async def test_all_are_listed(store: ObjectStore) -> None:
    for id in ("u1", "u2"):
        await create(store, id, f"orgs/o1/blobs/{id}")
    await add(store, b"x")
    found = [(tenant, id) async for tenant, id, _ in store.staging().list()]
    assert found == [("o1", "u1"), ("o1", "u2")]


# --- a folder ----------------------------------------------------------------------------


async def test_two_writers_never_write_to_one_file(tmp_path: Path) -> None:
    async with opened(StoreSettings(folder=tmp_path)) as store:
        await create(store)
        async with store.staging().append("o1", "u1", media_type=as_text, seen=unseen) as appending:
            await appending.add(b"one")
            with pytest.raises(StagingBusy):
                await add(store, b"two")
        await add(store, b"two")
        assert (await store.staging().look("o1", "u1")).offset == 6


async def test_a_disk_without_room_is_told(tmp_path: Path) -> None:
    roomy = LocalStore(tmp_path)
    await roomy.start()
    await create(roomy)
    full = LocalStore(tmp_path, free_disk=2**60)
    with pytest.raises(StoreFull):
        await create(full, "u2")
    with pytest.raises(StoreFull):
        await add(full, b"x")
    assert (await roomy.staging().look("o1", "u1")).offset == 0


# --- a bucket ----------------------------------------------------------------------------


@pytest.fixture
async def s3(flaky: FlakyS3, s3_url: str) -> AsyncIterator[S3Store]:
    settings = _settings(flaky.url, await _bucket(s3_url))
    store = S3Store(settings, Breakers(None, BreakerSettings(threshold=100)))
    await store.start()
    yield store
    await store.close()


async def test_a_part_that_is_lost_is_sent_again(s3: S3Store, flaky: FlakyS3) -> None:
    await create(s3)
    await add(s3, BIG[:100])
    flaky.only, flaky.refuse = "part", 2
    with pytest.raises(DependencyUnavailable):
        await add(s3, BIG[100:])
    found = await s3.staging().look("o1", "u1")
    assert found.offset == 100
    await add(s3, BIG[100:])
    await s3.staging().complete("o1", "u1", media_type=as_text)
    assert await whole(s3) == BIG


async def test_a_completion_whose_answer_is_lost_is_one(s3: S3Store, flaky: FlakyS3) -> None:
    await create(s3)
    await add(s3, BIG)
    flaky.only, flaky.lose_answers = "complete", 2
    with pytest.raises(DependencyUnavailable):
        await s3.staging().complete("o1", "u1", media_type=as_text)
    found = await s3.staging().look("o1", "u1")
    assert (found.completed, found.offset) == (True, len(BIG))
    await s3.staging().complete("o1", "u1", media_type=as_text)
    assert await whole(s3) == BIG


async def test_bytes_go_straight_to_where_the_object_will_be(s3: S3Store, flaky: FlakyS3) -> None:
    await create(s3)
    await add(s3, BIG)
    await s3.staging().complete("o1", "u1", media_type=as_text)
    assert (flaky.seen["create"], flaky.seen["part"], flaky.seen["complete"]) == (1, 3, 1)
    assert (await s3.stat(KEY)).media_type == "text/plain"
