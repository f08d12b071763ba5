"""What the ways in have in common: where they put what they take, what they hold, what they count."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from gateway_client import Api, Tenant, new_person, new_tenant
from own_gateway import own_gateway
from redis.asyncio import Redis
from s3_stack import flaky, s3, s3_owner, s3_stack, s3_url
from test_upload_metrics import sample
from tus_client import Tus

from bus.broker import connect
from infra.embedded.running import RunningStack

__all__ = ["flaky", "s3", "s3_owner", "s3_stack", "s3_url"]

QUOTA = 4_000_000


async def test_a_presigned_upload_is_put_into_a_folder(
    http: aiohttp.ClientSession, s3_stack: RunningStack
) -> None:
    api = Api(http, s3_stack.gateway_url)
    tenant, other = await new_tenant(api, "Folders"), await new_tenant(api, "Others")
    org = f"/v1/orgs/{tenant.org}"
    folder = (await tenant.owner.api.post(f"{org}/folders", {"name": "In"})).json["id"]
    foreign = f"/v1/orgs/{other.org}/folders"
    theirs = (await other.owner.api.post(foreign, {"name": "Theirs"})).json["id"]
    body = {"filename": "a.bin", "bytes": 4}
    for unknown in (theirs, "fld_none"):
        refused = await tenant.owner.api.post(
            f"{org}/uploads/presign", {**body, "folder_id": unknown}
        )
        assert refused.is_problem(422)["errors"][0]["pointer"] == "/folder_id", str(refused)
    made = []
    for data in (b"four", b"more"):
        answer = await tenant.owner.api.post(
            f"{org}/uploads/presign", {**body, "folder_id": folder}
        )
        assert answer.status == 201, str(answer)
        async with http.put(
            answer.json["url"], data=data, headers=answer.json["headers"]
        ) as response:
            assert response.status == 200
        made.append({"upload_id": answer.json["upload_id"]})
    done = await tenant.owner.api.post(f"{org}/uploads/complete", made[0])
    assert (done.status, done.json["folder_id"]) == (201, folder), str(done)
    gone = await tenant.owner.api.delete(f"{org}/folders/{folder}?recursive=true")
    assert gone.status == 204, str(gone)
    late = await tenant.owner.api.post(f"{org}/uploads/complete", made[1])
    assert late.is_problem(422)["errors"][0]["pointer"] == "/folder_id", str(late)
    again = await tenant.owner.api.post(f"{org}/uploads/complete", made[0])
    assert again.status in (201, 404), "what it became says so, wherever it is"


async def test_uploads_of_versions_are_counted_as_uploads(alpha: Tenant, api: Api) -> None:
    assets = f"/v1/orgs/{alpha.org}/assets"
    made = await alpha.owner.api.post(f"{assets}?filename=a.bin", data=os.urandom(1000))
    versions = f"{assets}/{made.json['id']}/versions"
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    for way, outcome, status, data, headers in (
        ("raw", "stored", 201, os.urandom(2000), {}),
        ("form", "stored", 201, form + os.urandom(2000) + b"\r\n--x--\r\n", multipart),
        ("raw", "refused", 422, b"", {}),
    ):
        counted = {"way": way, "outcome": outcome}
        before = [
            await sample(api, "grid8_uploads_total", **counted),
            await sample(api, "grid8_upload_bytes_sum", way=way),
        ]
        answer = await alpha.owner.api.post(versions, data=data, headers=headers)
        assert answer.status == status, str(answer)
        assert await sample(api, "grid8_uploads_total", **counted) == before[0] + 1
        taken = 2000 if outcome == "stored" else 0
        assert await sample(api, "grid8_upload_bytes_sum", way=way) == before[1] + taken


@pytest.fixture
async def limited(api: Api, stack: RunningStack, tmp_path: Path) -> AsyncIterator[Tus]:
    """An organization at a gateway that has a quota."""
    owner = await new_person(api, "Pauses")
    org = (await owner.api.post("/v1/orgs", {"name": "Pauses"})).json["id"]
    quota = {"GRID8_UPLOADS__QUOTA": str(QUOTA)}
    async with own_gateway(stack, tmp_path / "own.log", **quota) as (_, port):
        yield Tus(Api(owner.api._http, f"http://127.0.0.1:{port}", owner.api.token), org)


async def test_what_a_paused_upload_without_a_length_has_sent_stays_held(
    limited: Tus, stack: RunningStack
) -> None:
    redis: Redis = connect(stack.env["GRID8_REDIS__URL"])
    try:
        made = await limited.create(Upload_Defer_Length="1")
        assert made.status == 201, str(made)
        path = made.headers["Location"]
        upload = path.rpartition("/")[2]
        sent = await limited.patch(path, 0, os.urandom(1_500_000))
        assert sent.status == 204, str(sent)
        book = f"grid8:{{quota:{limited.org}}}"
        assert await redis.hget(f"{book}:held", upload) == b"1500000", "no more than has come"
        until = await redis.zscore(f"{book}:until", upload)
        seconds, _ = await redis.time()
        assert until is not None
        assert until / 1e6 - seconds > 3600, "as long as the upload is kept"
    finally:
        await redis.aclose()
