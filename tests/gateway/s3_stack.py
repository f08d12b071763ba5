"""A stack whose files are in S3, behind a server that spoils what a test wants spoilt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from gateway_client import Api, Person, new_person
from gateway_stack import QUICK, few_processes, show_logs

from infra.embedded.running import RunningStack
from infra.embedded.stack import running_stack
from tests.infra.s3_servers import FlakyS3, made_bucket, moto_server

BUCKET = "grid8-tests"
EXPIRE = 3600


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
async def s3(s3_url: str) -> AsyncIterator[Any]:
    """A client of the S3 itself, with the bucket made."""
    async with made_bucket(s3_url, BUCKET) as client:
        yield client


@pytest.fixture(scope="module")
async def flaky(s3_url: str) -> AsyncIterator[FlakyS3]:
    async with FlakyS3(s3_url).running() as server:
        yield server


@pytest.fixture(scope="module")
async def s3_stack(
    request: pytest.FixtureRequest,
    servers: RunningStack,
    flaky: FlakyS3,
    s3: Any,
    s3_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RunningStack]:
    """Its processes speak to the flaky server, its clients to the S3 itself."""
    env = {
        **QUICK,
        "GRID8_MONGO__URL": servers.mongo_url,
        "GRID8_MONGO__DATABASE": f"s3_{request.module.__name__.rpartition('.')[2]}"[:38],
        "GRID8_REDIS__URL": servers.redis_url.removesuffix("/0") + "/8",
        "GRID8_STORE__BACKEND": "s3",
        "GRID8_STORE__BUCKET": BUCKET,
        "GRID8_STORE__ENDPOINT_URL": flaky.url,
        "GRID8_STORE__PUBLIC_ENDPOINT_URL": s3_url,
        "GRID8_STORE__ACCESS_KEY": "test",
        "GRID8_STORE__SECRET_KEY": "test",
        "GRID8_STORE__TIMEOUT": "5",
        "GRID8_STORE__PART_BYTES": str(5 * 1024 * 1024),
        "GRID8_BREAKER__THRESHOLD": "100",
        "GRID8_UPLOADS__EXPIRE": str(EXPIRE),
    }
    folder = tmp_path_factory.mktemp("s3")
    async with running_stack(folder, env=env, processes=few_processes) as running:
        yield running
        said = show_logs(running)
        assert "request_failed" not in said, said


@pytest.fixture
async def s3_owner(http: Any, s3_stack: RunningStack) -> tuple[Person, str]:
    """Somebody with an organization of their own there."""
    owner = await new_person(Api(http, s3_stack.gateway_url), "S3 owner")
    return owner, (await owner.api.post("/v1/orgs", {"name": "S3"})).json["id"]


async def keys_of(s3: Any, org: str) -> list[str]:
    """What the bucket holds of an organization."""
    page = await s3.list_objects_v2(Bucket=BUCKET, Prefix=f"orgs/{org}/")
    return [each["Key"] for each in page.get("Contents", [])]


async def multiparts_of(s3: Any, org: str) -> list[str]:
    """The uploads in parts of an organization that have not ended."""
    page = await s3.list_multipart_uploads(Bucket=BUCKET)
    found = [each["Key"] for each in page.get("Uploads", [])]
    return [key for key in found if key.startswith(f"orgs/{org}/")]
