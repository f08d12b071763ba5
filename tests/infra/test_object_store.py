"""What every object store keeps to, over a local folder and over S3 on real HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import random
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aioboto3
import pytest

from infra.breaker import Breakers
from infra.object_store import (
    READ_BYTES,
    ObjectNotFound,
    ObjectStore,
    ObjectTooLarge,
    open_store,
)
from infra.settings import MIB, BreakerSettings, StoreSettings
from tests.infra.s3_servers import moto_server

KEY = "orgs/o1/blobs/b1"
BIG = random.Random(1).randbytes(30 * MIB + 123)
Leftovers = Callable[[], Awaitable[list[str]]]


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(params=["local", "s3"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
async def s3(s3_url: str) -> AsyncIterator[Any]:
    session = aioboto3.Session()
    async with session.client(
        "s3",
        endpoint_url=s3_url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    ) as client:
        yield client


@pytest.fixture
async def settings(backend: str, s3_url: str, s3: Any, tmp_path: Path) -> StoreSettings:
    if backend == "local":
        return StoreSettings(backend="local", folder=tmp_path / "objects")
    bucket = f"test-{uuid.uuid4().hex}"
    await s3.create_bucket(Bucket=bucket)
    return StoreSettings.model_validate(
        {
            "backend": "s3",
            "bucket": bucket,
            "endpoint_url": s3_url,
            "access_key": "a",
            "secret_key": "b",
            "part_bytes": 5 * MIB,
        }
    )


@pytest.fixture
async def store(settings: StoreSettings) -> AsyncIterator[ObjectStore]:
    opened = open_store(settings, Breakers(None, BreakerSettings()))
    await opened.start()
    yield opened
    await opened.close()


@pytest.fixture
def leftovers(backend: str, settings: StoreSettings, s3: Any) -> Leftovers:
    """Whatever lies in the store, finished or not."""

    async def look() -> list[str]:
        if backend == "local":
            return [str(path) for path in settings.folder.rglob("*") if path.is_file()]
        uploads = await s3.list_multipart_uploads(Bucket=settings.bucket)
        objects = await s3.list_objects_v2(Bucket=settings.bucket)
        return [found["Key"] for found in uploads.get("Uploads", []) + objects.get("Contents", [])]

    return look


async def pieces(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def put(store: ObjectStore, key: str, data: bytes) -> None:
    await store.write(key, pieces(data), media_type="application/octet-stream", limit=len(data))


async def got(store: ObjectStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    async with store.read(key, start, end) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def keys(store: ObjectStore, prefix: str) -> list[str]:
    return [stat.key async for stat in store.list(prefix)]


@pytest.mark.parametrize("data", [b"", b"x", BIG[: 5 * MIB], BIG], ids=["0", "1", "part", "30MB"])
async def test_what_is_written_is_read_back_whole(store: ObjectStore, data: bytes) -> None:
    written = await store.write(KEY, pieces(data), media_type="image/png", limit=100 * MIB)
    assert written.bytes == len(data)
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    assert await got(store, KEY) == data


async def test_one_huge_chunk_is_stored_like_many(store: ObjectStore) -> None:
    written = await store.write(KEY, pieces(BIG, len(BIG)), media_type="a/b", limit=len(BIG))
    assert written.sha256 == hashlib.sha256(BIG).hexdigest()
    assert await got(store, KEY) == BIG


async def test_chunks_are_never_larger_than_promised(store: ObjectStore) -> None:
    await put(store, KEY, BIG[: 3 * MIB])
    async with store.read(KEY) as chunks:
        sizes = [len(chunk) async for chunk in chunks]
    assert max(sizes) <= READ_BYTES
    assert min(sizes) > 0


async def test_stat_tells_size_and_time(store: ObjectStore, backend: str) -> None:
    await store.write(KEY, pieces(b"12345"), media_type="image/png", limit=5)
    stat = await store.stat(KEY)
    assert (stat.key, stat.bytes) == (KEY, 5)
    assert abs(stat.modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert stat.media_type == (None if backend == "local" else "image/png")


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 0), (0, 1), (3, 7), (5, None), (0, 10), (0, 99), (8, 99), (10, None), (11, 12), (4, 4)],
)
async def test_a_range_is_what_a_slice_is(store: ObjectStore, start: int, end: int | None) -> None:
    await put(store, KEY, b"0123456789")
    assert await got(store, KEY, start, end) == b"0123456789"[start:end]


async def test_a_range_across_chunks(store: ObjectStore) -> None:
    await put(store, KEY, BIG[: 2 * MIB])
    assert await got(store, KEY, 1000, MIB + 5) == BIG[1000 : MIB + 5]


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 4), (0, -1)])
async def test_what_is_no_range_is_refused(store: ObjectStore, start: int, end: int | None) -> None:
    await put(store, KEY, b"0123456789")
    with pytest.raises(ValueError):
        await got(store, KEY, start, end)


async def test_a_reader_may_leave_early_many_times(store: ObjectStore) -> None:
    await put(store, KEY, BIG[: 4 * MIB])
    for _ in range(100):
        async with store.read(KEY) as chunks:
            async for _chunk in chunks:
                break


async def test_a_missing_object_is_not_found(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFound):
        await store.stat(KEY)
    for start, end in ((0, None), (5, 9), (3, 3)):
        with pytest.raises(ObjectNotFound):
            await got(store, KEY, start, end)
    with pytest.raises(ObjectNotFound):
        await store.fetch(KEY, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    await store.delete([KEY])


@pytest.mark.parametrize("size", [11, 20 * MIB])
async def test_past_the_limit_nothing_is_stored(
    store: ObjectStore, leftovers: Leftovers, size: int
) -> None:
    with pytest.raises(ObjectTooLarge) as refused:
        await store.write(KEY, pieces(BIG[:size]), media_type="a/b", limit=size - 1)
    assert refused.value.limit == size - 1
    assert await leftovers() == []


@pytest.mark.parametrize("good", [0, 10, 12 * MIB], ids=["at once", "early", "after parts"])
async def test_when_the_sender_fails_nothing_is_stored(
    store: ObjectStore, leftovers: Leftovers, good: int
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        async for piece in pieces(BIG[:good]):
            yield piece
        raise ConnectionResetError("the sender went away")

    with pytest.raises(ConnectionResetError):
        await store.write(KEY, broken(), media_type="a/b", limit=len(BIG))
    assert await leftovers() == []


@pytest.mark.parametrize("good", [10, 12 * MIB], ids=["early", "after parts"])
async def test_when_the_write_is_cancelled_nothing_is_stored(
    store: ObjectStore, leftovers: Leftovers, good: int
) -> None:
    waiting = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        async for piece in pieces(BIG[:good]):
            yield piece
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(store.write(KEY, stalling(), media_type="a/b", limit=len(BIG)))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await leftovers() == []


async def test_cancelled_at_any_moment_the_key_is_whole_or_not_there(
    store: ObjectStore, leftovers: Leftovers
) -> None:
    data = BIG[: 11 * MIB]
    for turns in range(0, 120, 7):
        task = asyncio.ensure_future(put(store, KEY, data))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found = await leftovers()
        assert len(found) <= 1
        if found:
            assert await got(store, KEY) == data
        await store.delete([KEY])


async def test_a_failed_overwrite_keeps_the_old_object(store: ObjectStore) -> None:
    await put(store, KEY, b"old")
    with pytest.raises(ObjectTooLarge):
        await store.write(KEY, pieces(b"newer"), media_type="a/b", limit=4)
    assert await got(store, KEY) == b"old"
    await put(store, KEY, b"new")
    assert await got(store, KEY) == b"new"


@pytest.mark.parametrize("size", [0, 7, 13 * MIB])
async def test_files_go_in_and_come_out(store: ObjectStore, tmp_path: Path, size: int) -> None:
    (tmp_path / "in").write_bytes(BIG[:size])
    await store.write_file(KEY, tmp_path / "in", media_type="image/png")
    await store.fetch(KEY, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == BIG[:size]


async def test_a_missing_file_leaves_nothing(
    store: ObjectStore, leftovers: Leftovers, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await store.write_file(KEY, tmp_path / "none", media_type="a/b")
    assert await leftovers() == []


async def test_deleting_takes_what_is_there_and_minds_nothing_else(store: ObjectStore) -> None:
    for name in ("a", "b", "c"):
        await put(store, f"orgs/o1/blobs/{name}", b"x")
    await store.delete([f"orgs/o1/blobs/{n}" for n in ("a", "c", "none")])
    assert await keys(store, "orgs/") == ["orgs/o1/blobs/b"]
    await store.delete([f"orgs/o1/blobs/{n}" for n in range(1001)])
    await store.delete([])


async def test_listing_is_by_prefix_and_in_order(store: ObjectStore) -> None:
    names = ["orgs/a", "orgs/a/x", "orgs/a-b", "orgs/a/y/z", "orgs/ab/x", "other/x"]
    for name in names:
        await put(store, name, b"x")
    assert await keys(store, "") == sorted(names)
    assert await keys(store, "orgs/a/") == ["orgs/a/x", "orgs/a/y/z"]
    assert await keys(store, "orgs/a") == sorted(names[:5])
    assert await keys(store, "none/") == []


async def test_a_key_may_lie_below_another(store: ObjectStore) -> None:
    await put(store, KEY, b"original")
    await put(store, f"{KEY}/320.webp", b"rendition")
    assert await got(store, KEY) == b"original"
    await store.delete([KEY])
    assert await got(store, f"{KEY}/320.webp") == b"rendition"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "a//b",
        "a/",
        "..",
        "../a",
        "a/../b",
        "a/..",
        ".",
        "./a",
        ".incoming/x",
        "a/.hidden",
        "a\\b",
        "a\x00b",
        "a b",
        "a\n",
        "a+/b",
        "%2e%2e/a",
        "é",
        "x" * 201,
        "a/" * 512 + "a",
    ],
)
async def test_hostile_keys_are_refused_everywhere(
    store: ObjectStore, leftovers: Leftovers, tmp_path: Path, key: str
) -> None:
    (tmp_path / "in").write_bytes(b"x")
    with pytest.raises(ValueError):
        await put(store, key, b"x")
    with pytest.raises(ValueError):
        await store.write_file(key, tmp_path / "in", media_type="a/b")
    with pytest.raises(ValueError):
        await got(store, key)
    with pytest.raises(ValueError):
        await store.stat(key)
    with pytest.raises(ValueError):
        await store.delete([KEY, key])
    with pytest.raises(ValueError):
        store.local_path(key)
    assert await leftovers() == []


@pytest.mark.parametrize("prefix", ["../", "/", ".", "a/../", "a//"])
async def test_hostile_prefixes_are_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(ValueError):
        await keys(store, prefix)


async def test_many_writers_of_one_key_leave_one_of_their_objects(
    store: ObjectStore, leftovers: Leftovers
) -> None:
    versions = [bytes([n]) * 50_000 for n in range(8)]
    await asyncio.gather(*(put(store, KEY, data) for data in versions))
    assert await got(store, KEY) in versions
    assert len(await leftovers()) == 1


async def test_writing_takes_the_memory_of_a_few_parts(store: ObjectStore) -> None:
    piece = BIG[:65536]

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(60 * MIB // len(piece)):
            yield piece

    if store.local_path(KEY) is None:
        pytest.skip("the S3 server runs in this process and keeps what it gets in memory")
    tracemalloc.start()
    await store.write(KEY, endless(), media_type="a/b", limit=5 * 1024 * MIB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MIB


async def test_a_store_in_order_passes_its_check(store: ObjectStore) -> None:
    await store.check()
