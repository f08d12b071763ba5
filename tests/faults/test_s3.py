"""A broken S3, through the whole stack: a retry or a clear failure, never half an asset."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from infra.embedded.running import RunningStack
from tests.faults.harness import Answer, Caller, fault_stack, until
from tests.faults.harness.mix import png
from tests.infra.s3_servers import SLOW_DOWN, FlakyS3, made_bucket, moto_server

BUCKET = "grid8-broken"
MIB = 1024 * 1024
LARGE = 11 * MIB
FOR_GOOD = 10**6
BROKEN = (500, "<Error><Code>InternalError</Code><Message>We failed.</Message></Error>")


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
async def s3(s3_url: str) -> AsyncIterator[Any]:
    async with made_bucket(s3_url, BUCKET) as client:
        yield client


@pytest.fixture(scope="module")
async def broken(s3_url: str) -> AsyncIterator[FlakyS3]:
    async with FlakyS3(s3_url).running() as server:
        yield server


@pytest.fixture(scope="module")
async def stack(
    s3: Any, broken: FlakyS3, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningStack]:
    env = {
        "GRID8_STORE__BACKEND": "s3",
        "GRID8_STORE__BUCKET": BUCKET,
        "GRID8_STORE__ENDPOINT_URL": broken.url,
        "GRID8_STORE__ACCESS_KEY": "test",
        "GRID8_STORE__SECRET_KEY": "test",
        "GRID8_STORE__TIMEOUT": "2",
        "GRID8_STORE__ATTEMPTS": "3",
        "GRID8_STORE__PART_BYTES": str(5 * MIB),
        "GRID8_BREAKER__THRESHOLD": "1000",
    }
    async with fault_stack(tmp_path_factory.mktemp("s3"), env) as running:
        yield running


@pytest.fixture(autouse=True)
def mended(broken: FlakyS3) -> Iterator[None]:
    yield
    broken.only, broken.refuse_with = None, (503, SLOW_DOWN)
    broken.refuse = broken.drop = broken.lose_answers = broken.cut_bodies = broken.cut_writes = 0


class Studio:
    """Somebody with an organization of their own."""

    def __init__(self, caller: Caller, org: str, s3: Any) -> None:
        self.caller = caller
        self.org = org
        self.s3 = s3
        self.assets = f"/v1/orgs/{org}/assets"

    async def upload(self, data: bytes, filename: str = "a.bin") -> Answer:
        return await self.caller.send("POST", f"{self.assets}?filename={filename}", data=data)

    async def all(self) -> list[dict[str, Any]]:
        answer = await self.caller.send("GET", f"{self.assets}?limit=200")
        found: list[dict[str, Any]] = answer.body["items"]
        return found

    async def settled(self) -> list[dict[str, Any]]:
        """The assets, once none is being processed."""

        async def ended() -> Any:
            found = await self.all()
            return {each["status"] for each in found} <= {"ready", "failed"} or found

        await until(ended, "every asset to come to an end")
        return await self.all()

    async def check(self, *taken: bytes) -> None:
        """Of each upload that was taken there is a whole asset; of no other anything."""
        found = await self.settled()
        assert sorted(each["sha256"] for each in found) == sorted(
            hashlib.sha256(data).hexdigest() for data in taken
        )
        for each in found:
            assert each["status"] == "ready", each
            for url in (each["url"], *(made["url"] for made in each["renditions"])):
                async with self.caller.http.get(url) as response:
                    body = await response.read()
                    assert response.status == 200, await response.text()
                assert len(body) == int(response.headers["Content-Length"])
                if url == each["url"]:
                    assert hashlib.sha256(body).hexdigest() == each["sha256"]
        page = await self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"orgs/{self.org}/blobs/")
        assert len(page.get("Contents", [])) == len(set(taken))


@pytest.fixture
async def studio(stack: RunningStack, s3: Any) -> AsyncIterator[Studio]:
    async with aiohttp.ClientSession() as http:
        caller = await Caller.new(http, stack.gateway_url)
        made = await caller.send("POST", "/v1/orgs", json={"name": "Studio"})
        yield Studio(caller, made.body["id"], s3)


@pytest.mark.parametrize("only", ["put", "create", "part", "complete"])
@pytest.mark.parametrize("trouble", ["refuse", "drop", "lose_answers", "cut_writes"])
async def test_passing_trouble_with_a_write_is_outlived(
    studio: Studio, broken: FlakyS3, only: str, trouble: str
) -> None:
    data = os.urandom(1000 if only == "put" else LARGE)
    broken.only, broken.refuse_with = only, BROKEN
    setattr(broken, trouble, 1)
    answer = await studio.upload(data)
    assert answer.status == 201, answer
    assert getattr(broken, trouble) == 0
    broken.only = None
    await studio.check(data)


@pytest.mark.parametrize("only", ["put", "create", "part", "complete"])
@pytest.mark.parametrize("with_what", [(503, SLOW_DOWN), BROKEN])
async def test_lasting_trouble_with_a_write_is_a_clear_failure(
    studio: Studio, broken: FlakyS3, only: str, with_what: tuple[int, str]
) -> None:
    size = 1000 if only == "put" else LARGE
    broken.only, broken.refuse_with, broken.refuse = only, with_what, FOR_GOOD
    answer = await studio.upload(os.urandom(size))
    assert (answer.status, answer.code) == (503, "dependency_unavailable"), answer
    assert answer.retry_after
    broken.refuse = 0
    await studio.check()
    page = await studio.s3.list_multipart_uploads(Bucket=BUCKET)
    assert not [each for each in page.get("Uploads", []) if studio.org in each["Key"]]
    data = os.urandom(size)
    assert (await studio.upload(data)).status == 201
    await studio.check(data)


async def test_a_picture_whose_bytes_come_cut_is_processed_all_the_same(
    studio: Studio, broken: FlakyS3
) -> None:
    broken.only, broken.cut_bodies = "get", 2
    picture = png(1)
    assert (await studio.upload(picture, "a.png")).status == 201

    async def cut() -> Any:
        return broken.cut_bodies == 0 or broken.cut_bodies

    await until(cut, "the worker to have been cut")
    await studio.check(picture)


@pytest.mark.parametrize("trouble", ["get", "put"])
async def test_while_a_picture_cannot_be_processed_it_waits_and_is_not_ready(
    stack: RunningStack, studio: Studio, broken: FlakyS3, trouble: str
) -> None:
    """Its bytes cannot be read, or its renditions not be written."""
    picture = png(2)
    stack.process("worker-asset").signal(signal.SIGSTOP)
    try:
        assert (await studio.upload(picture, "a.png")).status == 202
        broken.only, broken.refuse, seen = trouble, FOR_GOOD, broken.seen[trouble]
    finally:
        stack.process("worker-asset").signal(signal.SIGCONT)

    async def tried() -> Any:
        return broken.seen[trouble] >= seen + 6 or broken.seen[trouble]

    await until(tried, "the worker to have tried again and again")
    assert [each["status"] for each in await studio.all()] == ["processing"]
    broken.refuse = 0
    await studio.check(picture)


async def test_a_gateway_killed_between_the_parts_and_the_end_leaves_no_asset(
    stack: RunningStack, studio: Studio, broken: FlakyS3
) -> None:
    broken.only, broken.refuse = "complete", FOR_GOOD
    seen = broken.seen["complete"]
    going = asyncio.create_task(studio.upload(os.urandom(LARGE)))

    async def reached() -> Any:
        return broken.seen["complete"] > seen

    await until(reached, "the parts to have arrived")
    stack.kill("gateway", signal.SIGKILL)
    assert (await going).status in (0, 503)
    broken.refuse = 0
    await stack.restarted("gateway")
    await studio.check()
    data = os.urandom(LARGE)
    assert (await studio.upload(data)).status == 201
    await studio.check(data)
