"""Uploads straight into S3: signed for just these bytes, and nothing believed but the bytes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from gateway_client import Answer, Api, Person, Tenant, add_member, new_person, new_tenant
from gateway_stack import eventually
from s3_stack import EXPIRE, flaky, keys_of, multiparts_of, s3, s3_owner, s3_stack, s3_url

from infra.embedded.running import RunningStack
from tests.infra.s3_servers import FlakyS3

__all__ = ["flaky", "s3", "s3_owner", "s3_stack", "s3_url"]

MIB = 1024 * 1024
LARGE = 17 * MIB + 3


class Studio:
    """One organization, and a plain client that puts bytes where it is told to."""

    def __init__(self, owner: Person, org: str, http: aiohttp.ClientSession) -> None:
        self.owner = owner
        self.org = org
        self.http = http
        self.uploads = f"/v1/orgs/{org}/uploads"

    async def presign(self, size: int, **more: Any) -> Any:
        body = {"filename": "a.bin", "bytes": size, **more}
        answer = await self.owner.api.post(f"{self.uploads}/presign", body)
        assert answer.status == 201, str(answer)
        assert answer.headers["Location"] == f"{self.uploads}/presign/{answer.json['upload_id']}"
        return answer.json

    async def put(self, url: str, data: bytes, headers: dict[str, str] | None = None) -> str:
        async with self.http.put(url, data=data, headers=headers) as response:
            assert response.status == 200, await response.text()
            return response.headers["ETag"]

    async def put_all(self, upload: Any, data: bytes) -> list[dict[str, Any]]:
        """The bytes as they were asked for; the parts' numbers and ETags."""
        if upload["url"]:
            await self.put(upload["url"], data, upload["headers"])
            return []
        found, at = [], 0
        for part in upload["parts"]:
            etag = await self.put(part["url"], data[at : at + part["bytes"]])
            found.append({"number": part["number"], "etag": etag})
            at += part["bytes"]
        assert at == len(data)
        return found

    async def complete(self, upload: Any, **more: Any) -> Answer:
        body = {"upload_id": upload["upload_id"], **more}
        return await self.owner.api.post(f"{self.uploads}/complete", body)

    async def usage(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.owner.api.get(f"/v1/orgs/{self.org}/usage")).json
        return found


@pytest.fixture
def studio(s3_owner: tuple[Person, str], http: aiohttp.ClientSession) -> Studio:
    return Studio(*s3_owner, http)


async def test_one_put_and_a_completion_make_an_asset(studio: Studio, s3: Any) -> None:
    data = b"\x89PNG\r\n\x1a\n" + os.urandom(500_000)
    upload = await studio.presign(
        len(data), filename="../x/photo.txt", tags=["a", "b"], media_type="text/plain"
    )
    signed = parse_qs(urlsplit(upload["url"]).query)
    names = signed["X-Amz-SignedHeaders"][0].split(";")
    assert {"content-length", "x-amz-server-side-encryption"} <= set(names)
    assert 0 < int(signed["X-Amz-Expires"][0]) <= EXPIRE
    assert (await studio.usage())["uploads"] == 1
    await studio.put_all(upload, data)
    made = await studio.complete(upload)
    assert made.status == 201, str(made)
    view = made.json
    assert made.headers["Location"] == f"/v1/orgs/{studio.org}/assets/{view['id']}"
    assert view["name"] == "photo.txt"
    assert (view["bytes"], view["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert (view["media_type"], view["kind"], view["tags"]) == ("image/png", "image", ["a", "b"])
    assert (await studio.owner.api.get(view["url"])).body == data
    again = await studio.complete(upload)
    assert (again.status, again.json["id"]) == (201, view["id"])

    async def tidy() -> bool:
        return not any("incoming" in key for key in await keys_of(s3, studio.org))

    await eventually(tidy)
    shown = await studio.owner.api.get(f"{studio.uploads}/presign/{upload['upload_id']}")
    assert (shown.json["status"], shown.json["asset_id"]) == ("completed", view["id"])
    assert shown.json["url"] is None
    assert (await studio.usage())["bytes"] == len(data)


async def test_many_bytes_come_in_parts_in_any_order(studio: Studio, s3: Any) -> None:
    data = os.urandom(LARGE)
    upload = await studio.presign(LARGE, sha256=hashlib.sha256(data).hexdigest())
    sizes = [part["bytes"] for part in upload["parts"]]
    assert upload["url"] is None
    assert sum(sizes) == LARGE
    assert len(sizes) > 2
    assert set(sizes[:-1]) == {upload["part_bytes"]}
    first, *rest = upload["parts"]
    early = await studio.complete(upload)
    assert early.is_problem(409)["code"] == "asset.presigned_incomplete"
    at, etags = first["bytes"], {}
    pieces = {}
    for part in rest:
        pieces[part["number"]] = data[at : at + part["bytes"]]
        at += part["bytes"]
    for part in reversed(rest):
        etags[part["number"]] = await studio.put(part["url"], pieces[part["number"]])
    missing = await studio.complete(upload)
    assert "Part 1 of" in missing.is_problem(409)["detail"]
    again = await studio.owner.api.get(f"{studio.uploads}/presign/{upload['upload_id']}")
    etags[1] = await studio.put(again.json["parts"][0]["url"], data[: first["bytes"]])
    parts = [{"number": n, "etag": etags[n]} for n in sorted(etags)]
    wrong = [{"number": 1, "etag": '"0"'}, *parts[1:]]
    (await studio.complete(upload, parts=wrong)).is_problem(409)
    (await studio.complete(upload, parts=parts[::-1])).is_problem(409)
    (await studio.complete(upload, parts=parts[:1])).is_problem(409)
    made = await studio.complete(upload, parts=parts)
    assert made.status == 201, str(made)
    assert made.json["sha256"] == hashlib.sha256(data).hexdigest()
    assert (await studio.owner.api.get(made.json["url"])).body == data
    assert await multiparts_of(s3, studio.org) == []


async def test_what_is_not_as_announced_is_refused_and_removed(studio: Studio, s3: Any) -> None:
    for size, data, sha in (
        (1000, os.urandom(999), None),
        (1000, os.urandom(1001), None),
        (1000, os.urandom(1000), "0" * 64),
    ):
        upload = await studio.presign(size, **({"sha256": sha} if sha else {}))
        # An S3 would refuse another length than the one that was signed; this one does not look.
        await studio.put_all(upload, data)
        refused = await studio.complete(upload)
        assert refused.is_problem(422)["code"] == "asset.presigned_mismatch", str(refused)
        again = await studio.complete(upload)
        assert again.json["detail"] == refused.json["detail"]

    async def tidy() -> bool:
        return await keys_of(s3, studio.org) == []

    await eventually(tidy)
    assert await studio.usage() == {**await studio.usage(), "bytes": 0, "uploads": 0, "assets": 0}
    large = os.urandom(LARGE)
    upload = await studio.presign(LARGE, sha256="f" * 64)
    await studio.put_all(upload, large)
    assert (await studio.complete(upload)).code == "asset.presigned_mismatch"
    await eventually(tidy)


async def test_completed_at_once_by_many_it_becomes_one_asset(studio: Studio, s3: Any) -> None:
    for size in (1000, LARGE):
        data = os.urandom(size)
        upload = await studio.presign(size)
        await studio.put_all(upload, data)
        answers = await asyncio.gather(*(studio.complete(upload) for _ in range(6)))
        done = [each for each in answers if each.status == 201]
        assert {each.status for each in answers} <= {201, 202}, answers
        assert len({each.json["id"] for each in done}) == 1
        assert (await studio.owner.api.get(done[0].json["url"])).body == data
    listed = (await studio.owner.api.get(f"/v1/orgs/{studio.org}/assets")).json["items"]
    assert len(listed) == 2


async def test_bytes_put_again_after_the_completion_change_nothing(studio: Studio) -> None:
    data = os.urandom(1000)
    upload = await studio.presign(1000)
    await studio.put_all(upload, data)
    made = await studio.complete(upload)
    await studio.put_all(upload, os.urandom(1000))
    assert (await studio.owner.api.get(made.json["url"])).body == data
    assert (await studio.complete(upload)).json["id"] == made.json["id"]


async def test_an_upload_is_its_makers_alone(
    studio: Studio, s3_stack: RunningStack, http: aiohttp.ClientSession
) -> None:
    upload = await studio.presign(1000)
    await studio.put_all(upload, os.urandom(1000))
    anybody = Api(http, s3_stack.gateway_url)
    other = await new_person(anybody, "Other")
    own = (await other.api.post("/v1/orgs", {"name": "Other"})).json["id"]
    added = await studio.owner.api.post(
        f"/v1/orgs/{studio.org}/members", {"email": other.email, "role": "admin"}
    )
    assert added.status == 201
    body = {"upload_id": upload["upload_id"]}
    for org in (own, studio.org):
        uploads = f"/v1/orgs/{org}/uploads"
        path = f"{uploads}/presign/{upload['upload_id']}"
        for answer in (
            await other.api.post(f"{uploads}/complete", body),
            await other.api.get(path),
            await other.api.delete(path),
        ):
            assert answer.is_problem(404)["code"] == "asset.presigned_not_found"
    assert (await studio.complete(upload)).status == 201


async def test_an_upload_that_is_given_up_leaves_nothing(studio: Studio, s3: Any) -> None:
    for size in (1000, LARGE):
        upload = await studio.presign(size)
        await studio.put_all(upload, os.urandom(size))
        path = f"{studio.uploads}/presign/{upload['upload_id']}"
        assert (await studio.owner.api.delete(path)).status == 204
        (await studio.owner.api.delete(path)).is_problem(404)
        (await studio.complete(upload)).is_problem(404)

    async def tidy() -> bool:
        return await keys_of(s3, studio.org) == await multiparts_of(s3, studio.org) == []

    await eventually(tidy)
    assert (await studio.usage())["uploads"] == 0


async def test_the_same_key_gives_the_same_upload_and_begins_no_other(
    studio: Studio, s3: Any
) -> None:
    body = {"filename": "a.bin", "bytes": LARGE}
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    path = f"{studio.uploads}/presign"
    first = await studio.owner.api.post(path, body, headers=headers)
    second = await studio.owner.api.post(path, body, headers=headers)
    assert first.json == second.json
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(await multiparts_of(s3, studio.org)) == 1
    assert (await studio.usage())["uploads"] == 1


async def test_what_is_announced_holds_to_the_limits(studio: Studio) -> None:
    path = f"{studio.uploads}/presign"
    large = await studio.owner.api.post(path, {"filename": "a", "bytes": 2**50})
    assert large.is_problem(413)["code"] == "asset.upload_too_large"
    for body in (
        {"filename": "a", "bytes": 0},
        {"filename": "", "bytes": 1},
        {"filename": "a"},
        {"filename": "a", "bytes": 1, "sha256": "x"},
        {"filename": "a", "bytes": 1, "upload_id": "upl_1"},
        {"filename": "a", "bytes": 1, "expires_at": "2030-01-01T00:00:00Z"},
        {"filename": "a", "bytes": 1, "project_id": "prj_none"},
    ):
        (await studio.owner.api.post(path, body)).is_problem(422)
    (await studio.complete({"upload_id": "upl_none"})).is_problem(404)
    upload = await studio.presign(10)
    for parts in ([], [{"number": 0, "etag": "x"}], [{"number": 1}], "x"):
        (await studio.complete(upload, parts=parts)).is_problem(422)
    (await studio.complete(upload)).is_problem(409)


async def test_trouble_with_the_store_is_outlived(studio: Studio, flaky: FlakyS3) -> None:
    data = os.urandom(LARGE)
    upload = await studio.presign(LARGE)
    await studio.put_all(upload, data)
    flaky.only, flaky.lose_answers = "complete", 1
    made = await studio.complete(upload)
    assert flaky.lose_answers == 0
    flaky.only, flaky.cut_bodies = "get", 2
    assert made.json["sha256"] == hashlib.sha256(data).hexdigest(), str(made)
    small = os.urandom(300_000)
    upload = await studio.presign(len(small))
    await studio.put_all(upload, small)
    made = await studio.complete(upload)
    assert flaky.cut_bodies == 0
    assert made.json["sha256"] == hashlib.sha256(small).hexdigest()


async def test_with_files_in_a_folder_it_says_what_to_do(alpha: Tenant) -> None:
    path = f"/v1/orgs/{alpha.org}/uploads/presign"
    refused = await alpha.owner.api.post(path, {"filename": "a", "bytes": 1})
    problem = refused.is_problem(409)
    assert problem["code"] == "asset.presign_unavailable"
    assert "tus" in problem["detail"]


async def test_in_a_brand_it_takes_a_role_there_and_at_every_step(
    http: aiohttp.ClientSession, s3_stack: RunningStack
) -> None:
    api = Api(http, s3_stack.gateway_url)
    tenant = await new_tenant(api, "Brand")
    viewer = await add_member(api, tenant, "viewer")
    uploads = f"/v1/orgs/{tenant.org}/uploads"
    body = {"filename": "a", "bytes": 4, "project_id": tenant.project}
    (await viewer.api.post(f"{uploads}/presign", body)).is_problem(403)
    given = await tenant.owner.api.post(
        f"/v1/orgs/{tenant.org}/brands/{tenant.brand}/roles",
        {"holder": viewer.id, "role": "editor"},
    )
    assert given.status == 201
    made = await viewer.api.post(f"{uploads}/presign", body)
    assert made.status == 201, str(made)
    async with http.put(made.json["url"], data=b"four") as put:
        assert put.status == 200
    (await viewer.api.post(f"{uploads}/presign", {"filename": "a", "bytes": 4})).is_problem(403)
    done = await viewer.api.post(f"{uploads}/complete", {"upload_id": made.json["upload_id"]})
    assert done.status == 201, str(done)
    assert done.json["project_id"] == tenant.project
