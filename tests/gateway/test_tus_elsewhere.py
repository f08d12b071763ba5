"""Files in pieces where the gateway is set up otherwise: a quota, kinds that are forbidden, S3."""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aioboto3
import aiohttp
import pytest
from gateway_client import TUS, Api, Tenant, new_tenant
from gateway_stack import eventually
from own_gateway import own_gateway
from tus_client import Tus, metadata, sending

from infra.embedded.layout import ROOT
from infra.embedded.running import RunningStack

sys.path.insert(0, str(ROOT))

from tests.infra.s3_servers import moto_server

QUOTA = 100_000
MIB = 1024 * 1024


@pytest.fixture
async def tenant(api: Api) -> Tenant:
    made = await new_tenant(api, "Elsewhere")
    begun = f"/v1/orgs/{made.org}/uploads/{made.upload}"
    assert (await made.owner.api.delete(begun, headers=TUS)).status == 204
    return made


# --- a quota -----------------------------------------------------------------------------


@pytest.fixture
async def tus(
    stack: RunningStack, tenant: Tenant, http: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Tus]:
    settings = {
        "GRID8_UPLOADS__QUOTA": str(QUOTA + tenant.asset_view["bytes"]),
        "GRID8_ASSETS__FORBIDDEN": "image/png",
    }
    async with own_gateway(stack, tmp_path / "gateway.log", **settings) as (_, port):
        api = Api(http, f"http://127.0.0.1:{port}", tenant.owner.api.token)
        yield Tus(api, tenant.org)
    assert "request_failed" not in (tmp_path / "gateway.log").read_text()


async def test_an_upload_holds_its_quota_from_its_beginning(tus: Tus) -> None:
    path = await tus.created(60_000)
    over = await tus.create(40_001)
    assert over.is_problem(413)["code"] == "asset.quota_exceeded"
    other = await tus.created(40_000)
    assert (await tus.create(1)).is_problem(413)["code"] == "asset.quota_exceeded"
    assert (await tus.delete(other)).status == 204
    other = await tus.created(40_000)
    for each, size in ((path, 60_000), (other, 40_000)):
        assert (await tus.patch(each, 0, os.urandom(size))).status == 204
    assert (await tus.create(1)).is_problem(413)["code"] == "asset.quota_exceeded"


async def test_an_upload_without_a_length_holds_what_comes(tus: Tus) -> None:
    path = (await tus.create(Upload_Defer_Length="1")).headers["Location"]
    assert (await tus.patch(path, 0, os.urandom(70_000))).status == 204
    assert (await tus.create(40_000)).is_problem(413)["code"] == "asset.quota_exceeded"
    over = await tus.patch(path, 70_000, os.urandom(40_000))
    assert over.is_problem(413)["code"] == "asset.quota_exceeded"
    offset = await tus.offset(path)
    assert 70_000 <= offset <= QUOTA
    assert (await tus.patch(path, offset, b"", Upload_Length=str(offset))).status == 204


# --- what is not taken -------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n" + bytes(70_000)


async def test_what_is_not_taken_is_refused_as_soon_as_it_is_known(tus: Tus) -> None:
    path = await tus.created(len(PNG))
    refused = await tus.patch(path, 0, PNG[:66_000])
    assert refused.is_problem(415)["code"] == "asset.type_forbidden"
    assert (await tus.head(path)).status == 404
    assert (await tus.create(len(PNG), data=PNG)).is_problem(415)
    assert (await tus.create(QUOTA)).status == 201, "it holds nothing of the quota any more"


async def test_what_is_not_taken_is_refused_at_its_end_too(tus: Tus) -> None:
    path = await tus.created(len(PNG))
    assert (await tus.patch(path, 0, PNG[:10])).status == 204
    refused = await tus.patch(path, 10, PNG[10:])
    assert refused.is_problem(415)["code"] == "asset.type_forbidden"
    assert (await tus.head(path)).status == 404
    assert (await tus.create(QUOTA)).status == 201


# --- S3 ----------------------------------------------------------------------------------


def client(url: str) -> Any:
    return aioboto3.Session().client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )


async def test_in_s3_another_gateway_goes_on_where_one_was_killed(
    stack: RunningStack, tenant: Tenant, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    data, bucket = os.urandom(17 * MIB + 5), f"test-{uuid.uuid4().hex}"
    with moto_server() as url:
        settings = {
            "GRID8_STORE__BACKEND": "s3",
            "GRID8_STORE__BUCKET": bucket,
            "GRID8_STORE__ENDPOINT_URL": url,
            "GRID8_STORE__ACCESS_KEY": "a",
            "GRID8_STORE__SECRET_KEY": "b",
            "GRID8_STORE__PART_BYTES": str(5 * MIB),
        }
        async with client(url) as s3:
            await s3.create_bucket(Bucket=bucket)
            async with (
                own_gateway(stack, tmp_path / "one.log", **settings) as (first, one),
                own_gateway(stack, tmp_path / "two.log", **settings) as (_, two),
            ):
                apis = [
                    Api(http, f"http://127.0.0.1:{port}", tenant.owner.api.token)
                    for port in (one, two)
                ]
                tus, other = (Tus(api, tenant.org) for api in apis)
                path = await tus.created(len(data), meta=metadata(filename="s3.bin"))
                assert (await tus.patch(path, 0, data[:1_000_000])).status == 204
                async with sending(tus, path, 1_000_000, len(data) - 1_000_000) as (_, writer):
                    writer.write(data[1_000_000 : 12 * MIB])
                    await writer.drain()
                    await eventually(
                        lambda: other.offset(path), lambda offset: offset >= 10 * MIB, within=60
                    )
                    first.kill()
                    await first.wait()
                at = await other.offset(path)
                assert at == 10 * MIB, "whole parts are kept"
                last = await eventually(
                    lambda: other.patch(path, at, data[at:]),
                    lambda answer: answer.status == 204,
                    within=60,
                )
                asset = await other.asset(last)
                assert asset["sha256"] == hashlib.sha256(data).hexdigest()
                assert asset["bytes"] == len(data)
                kept = await s3.list_objects_v2(Bucket=bucket)
                [blob] = kept["Contents"]
                assert blob["Key"].startswith(f"orgs/{tenant.org}/blobs/")
                assert blob["Size"] == len(data)
                open_ones = await s3.list_multipart_uploads(Bucket=bucket)
                assert open_ones.get("Uploads", []) == []
