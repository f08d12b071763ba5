from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aioboto3
import pytest
from botocore.exceptions import ClientError
from redis.asyncio import Redis

from infra.breaker import Breakers, DependencyUnavailable
from infra.embedded.ports import free_port
from infra.object_store import ObjectNotFound
from infra.object_store.s3 import S3Store
from infra.settings import MIB, BreakerSettings, StoreSettings
from tests.infra.s3_servers import DENIED, FlakyS3, moto_server

KEY = "orgs/o1/blobs/b1"
DATA = random.Random(2).randbytes(12 * MIB)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
async def s3(s3_url: str) -> AsyncIterator[Any]:
    async with aioboto3.Session().client(
        "s3",
        endpoint_url=s3_url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    ) as client:
        yield client


@pytest.fixture
async def bucket(s3: Any) -> str:
    name = f"test-{uuid.uuid4().hex}"
    await s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
async def flaky(s3_url: str) -> AsyncIterator[FlakyS3]:
    async with FlakyS3(s3_url).running() as server:
        yield server


def settings(url: str, bucket: str, **more: Any) -> StoreSettings:
    return StoreSettings.model_validate(
        {
            "backend": "s3",
            "bucket": bucket,
            "endpoint_url": url,
            "access_key": "a",
            "secret_key": "b",
            "part_bytes": 5 * MIB,
            "timeout": 5.0,
        }
        | more
    )


@pytest.fixture
async def store(flaky: FlakyS3, bucket: str) -> AsyncIterator[S3Store]:
    breakers = Breakers(None, BreakerSettings(threshold=100))
    opened = S3Store(settings(flaky.url, bucket), breakers)
    await opened.start()
    yield opened
    await opened.close()


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 100_000):
        yield data[at : at + 100_000]


async def put(store: S3Store, data: bytes) -> None:
    await store.write(KEY, pieces(data), media_type="image/png", limit=len(data))


async def got(store: S3Store) -> bytes:
    async with store.read(KEY) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def uploads(s3: Any, bucket: str) -> list[Any]:
    found: list[Any] = (await s3.list_multipart_uploads(Bucket=bucket)).get("Uploads", [])
    return found


async def test_a_small_object_is_one_put_and_a_large_one_is_parts(
    store: S3Store, flaky: FlakyS3, s3: Any, bucket: str
) -> None:
    await put(store, b"small")
    assert (flaky.seen["put"], flaky.seen["part"]) == (1, 0)
    await put(store, DATA)
    assert (flaky.seen["put"], flaky.seen["create"], flaky.seen["part"]) == (1, 1, 3)
    head = await s3.head_object(Bucket=bucket, Key=KEY)
    assert head["ETag"].endswith('-3"')
    assert head["ContentType"] == "image/png"


@pytest.mark.parametrize("size", [5, len(DATA)])
async def test_objects_are_encrypted_as_the_settings_say(
    store: S3Store, s3: Any, bucket: str, s3_url: str, size: int
) -> None:
    await put(store, DATA[:size])
    assert (await s3.head_object(Bucket=bucket, Key=KEY))["ServerSideEncryption"] == "AES256"
    kms = S3Store(
        settings(s3_url, bucket, sse="aws:kms", sse_kms_key="key-1"),
        Breakers(None, BreakerSettings()),
    )
    await kms.start()
    await put(kms, DATA[:size])
    await kms.close()
    head = await s3.head_object(Bucket=bucket, Key=KEY)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "key-1")


async def test_parts_grow_so_that_ten_thousand_hold_the_limit(
    store: S3Store, flaky: FlakyS3
) -> None:
    await store.write(KEY, pieces(DATA), media_type="a/b", limit=11 * MIB * 10_000)
    assert flaky.seen["part"] == 2
    assert await got(store) == DATA


@pytest.mark.parametrize("only", ["create", "part", "complete"])
@pytest.mark.parametrize("trouble", ["refuse", "drop", "lose_answers"])
async def test_an_upload_outlives_passing_trouble(
    store: S3Store, flaky: FlakyS3, s3: Any, bucket: str, only: str, trouble: str
) -> None:
    flaky.only = only
    setattr(flaky, trouble, 2 if trouble == "refuse" else 1)
    await put(store, DATA)
    assert getattr(flaky, trouble) == 0
    assert await got(store) == DATA


@pytest.mark.parametrize("trouble", ["refuse", "drop", "lose_answers"])
async def test_small_calls_outlive_passing_trouble(
    store: S3Store, flaky: FlakyS3, trouble: str
) -> None:
    for call in (
        lambda: put(store, b"small"),
        lambda: store.stat(KEY),
        lambda: got(store),
        lambda: store.check(),
        lambda: store.delete([KEY]),
    ):
        setattr(flaky, trouble, 1)
        await call()
        assert getattr(flaky, trouble) == 0


async def test_a_read_goes_on_where_the_connection_broke(store: S3Store, flaky: FlakyS3) -> None:
    await put(store, DATA)
    flaky.only, flaky.cut_bodies = "get", 2
    assert await got(store) == DATA
    assert flaky.seen["get"] == 3


async def test_a_read_that_keeps_breaking_fails_plainly(store: S3Store, flaky: FlakyS3) -> None:
    await put(store, DATA)
    flaky.only, flaky.cut_bodies = "get", 1000
    with pytest.raises(DependencyUnavailable):
        await got(store)


async def test_lasting_trouble_ends_as_unavailable_and_leaves_no_parts(
    store: S3Store, flaky: FlakyS3, s3: Any, bucket: str
) -> None:
    flaky.only, flaky.refuse = "part", 1000
    with pytest.raises(DependencyUnavailable) as failed:
        await put(store, DATA)
    assert failed.value.name == "s3"
    assert await uploads(s3, bucket) == []
    with pytest.raises(ObjectNotFound):
        await store.stat(KEY)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-name.invalid"])
async def test_a_server_that_cannot_be_reached_is_an_outage_too(bucket: str, host: str) -> None:
    url = f"http://{host}:{free_port()}"
    breakers = Breakers(None, BreakerSettings(threshold=2, ttl=60))
    store = S3Store(settings(url, bucket, attempts=2), breakers)
    await store.start()
    with pytest.raises(DependencyUnavailable):
        await store.stat(KEY)
    with pytest.raises(DependencyUnavailable) as refused:
        await store.stat(KEY)
    assert refused.value.retry_after > 50, "the breaker is open"
    await store.close()


async def test_a_silent_server_is_given_up_after_the_timeout(bucket: str) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    store = S3Store(
        settings(f"http://127.0.0.1:{port}", bucket, timeout=0.2, attempts=2),
        Breakers(None, BreakerSettings()),
    )
    await store.start()
    async with server, asyncio.timeout(5):
        with pytest.raises(DependencyUnavailable):
            await store.stat(KEY)
        await store.close()


async def test_a_refusal_for_good_is_not_tried_again(store: S3Store, flaky: FlakyS3) -> None:
    with pytest.raises(ObjectNotFound):
        await store.stat(KEY)
    assert flaky.seen["head"] == 1


async def test_a_missing_bucket_fails_the_check(s3_url: str) -> None:
    store = S3Store(settings(s3_url, "no-such-bucket"), Breakers(None, BreakerSettings()))
    await store.start()
    with pytest.raises(FileNotFoundError):
        await store.check()
    await store.close()


async def test_the_breaker_opens_for_every_process_and_stops_the_calls(
    flaky: FlakyS3, bucket: str, redis_url: str
) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.delete("grid8:breaker:{s3}", "grid8:breaker:{s3}:probe")
        stores = []
        for _ in range(2):
            breakers = Breakers(redis, BreakerSettings(threshold=3, ttl=60))
            stores.append(S3Store(settings(flaky.url, bucket, attempts=3), breakers))
            await stores[-1].start()
        first, second = stores
        flaky.refuse = 3
        with pytest.raises(DependencyUnavailable):
            await first.stat(KEY)
        assert flaky.seen["head"] == 3
        with pytest.raises(DependencyUnavailable) as refused:
            await second.stat(KEY)
        assert flaky.seen["head"] == 3
        assert 50 < refused.value.retry_after <= 60
        await redis.delete("grid8:breaker:{s3}")
        await asyncio.gather(*(store.close() for store in stores))


async def test_answers_that_are_not_failures_leave_the_breaker_closed(
    flaky: FlakyS3, bucket: str
) -> None:
    store = S3Store(
        settings(flaky.url, bucket), Breakers(None, BreakerSettings(threshold=1, ttl=60))
    )
    await store.start()
    for _ in range(5):
        with pytest.raises(ObjectNotFound):
            await store.stat(KEY)
    await put(store, b"x")
    await store.close()


async def test_a_denied_call_stays_what_the_server_said(store: S3Store, flaky: FlakyS3) -> None:
    flaky.refuse, flaky.refuse_with = 1, (403, DENIED)
    with pytest.raises(ClientError, match="AccessDenied"):
        await put(store, b"x")
    assert flaky.seen["put"] == 1
