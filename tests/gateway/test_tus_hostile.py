"""The tus protocol with whatever can be wrong about it: refused with a reason, and nothing lost."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from gateway_client import TUS, Api, Tenant, new_tenant
from gateway_stack import SMALL_LIMIT
from raw_http import send_raw
from tus_client import BYTES, Tus, metadata

from infra.embedded.running import RunningStack
from infra.settings import UploadsSettings


@pytest.fixture
def tus(alpha: Tenant) -> Tus:
    return Tus(alpha.owner.api, alpha.org)


@pytest.fixture
def staged(stack: RunningStack, alpha: Tenant) -> Path:
    return Path(stack.env["GRID8_STORE__FOLDER"]) / ".staged" / alpha.org


async def test_another_version_is_refused_before_anything_is_done(tus: Tus, staged: Path) -> None:
    path = await tus.created(5)
    before = set(staged.iterdir())
    for version in (None, "0.2.2", "1.0", "1.0.0, 1.0.0", "", "2.0.0"):
        given = {} if version is None else {"Tus-Resumable": version}
        patch = {**given, "Content-Type": BYTES, "Upload-Offset": "0"}
        for answer in (
            await tus.api.post(tus.path, headers={**given, "Upload-Length": "5"}),
            await tus.api.patch(path, data=b"hello", headers=patch),
            await tus.api.delete(path, headers=given),
            await tus.api.post(path, headers={**given, "X-HTTP-Method-Override": "DELETE"}),
        ):
            assert answer.is_problem(412)["code"] == "asset.tus_version_unsupported"
            assert answer.headers["Tus-Version"] == "1.0.0"
        head = await tus.api("HEAD", path, headers=given)
        assert (head.status, head.headers["Tus-Version"]) == (412, "1.0.0")
        assert "Upload-Offset" not in head.headers
    assert set(staged.iterdir()) == before
    assert await tus.offset(path) == 0


async def test_every_answer_tells_the_version(tus: Tus) -> None:
    for answer in (
        await tus.head(f"{tus.path}/upl_nothing"),
        await tus.api.as_(None)("HEAD", f"{tus.path}/upl_nothing"),
        await tus.api("PUT", tus.path),
        await tus.create(0),
        await tus.create(5),
    ):
        assert answer.headers["Tus-Resumable"] == "1.0.0", str(answer)


NO_NUMBERS = ("-1", "+1", "1.0", "1e3", "0x10", "", " ", "x", "1 1", "1,1", "9" * 16, "9" * 5000)


async def test_a_length_is_a_number_or_said_to_come(tus: Tus, staged: Path) -> None:
    before = set(staged.iterdir()) if staged.exists() else set()
    for length in (*NO_NUMBERS, "NaN", "\u0661".encode().decode("latin-1")):
        answer = await tus.create(Upload_Length=length)
        problem = answer.is_problem(400)
        assert problem["code"] == "asset.upload_header_invalid", str(answer)
        assert problem["errors"][0]["pointer"] == "Upload-Length", str(answer)
    for headers in (
        {},
        {"Upload_Defer_Length": "0"},
        {"Upload_Defer_Length": "true"},
        {"Upload_Defer_Length": "1", "Upload_Length": "5"},
        {"Upload_Length": "5", "Upload_Concat": "partial"},
    ):
        assert (await tus.create(**headers)).is_problem(400)  # type: ignore[arg-type]
    assert (set(staged.iterdir()) if staged.exists() else set()) == before


async def test_an_empty_upload_is_refused(tus: Tus) -> None:
    assert (await tus.create(0)).is_problem(422)["code"] == "asset.upload_empty"
    path = (await tus.create(Upload_Defer_Length="1")).headers["Location"]
    answer = await tus.patch(path, 0, b"", Upload_Length="0")
    assert answer.is_problem(422)["code"] == "asset.upload_empty"


async def test_more_than_is_taken_is_refused_with_the_limit(
    tus: Tus, http: aiohttp.ClientSession, stack: RunningStack
) -> None:
    base = stack.process("gateway-small").process.shown
    small = tus.at(Api(http, base, tus.api.token))
    told = await small.api("OPTIONS", small.path)
    assert told.headers["Tus-Max-Size"] == str(SMALL_LIMIT)
    for length in (SMALL_LIMIT + 1, 10**15 - 1):
        problem = (await small.create(length)).is_problem(413)
        assert problem["code"] == "asset.upload_too_large"
        assert str(SMALL_LIMIT) in problem["detail"]
    path = (await small.create(Upload_Defer_Length="1")).headers["Location"]
    (await small.patch(path, 0, b"x" * (SMALL_LIMIT + 1))).is_problem(413)
    assert await small.offset(path) == 0
    assert (await small.patch(path, 0, b"", Upload_Length="999999")).is_problem(413)
    assert (await small.patch(path, 0, b"x" * 10)).status == 204
    assert (await small.patch(path, 10, _pieces(SMALL_LIMIT))).is_problem(413)
    assert await small.offset(path) <= SMALL_LIMIT


async def _pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 1000):
        yield b"x" * 1000


async def test_more_than_was_declared_is_refused(tus: Tus) -> None:
    path = await tus.created(10)
    (await tus.patch(path, 0, b"x" * 11)).is_problem(413)
    assert await tus.offset(path) == 0
    await tus.patch(path, 0, b"x" * 4)
    (await tus.patch(path, 4, b"x" * 7)).is_problem(413)
    (await tus.patch(path, 4, _pieces(3000))).is_problem(413)
    assert await tus.offset(path) == 4
    assert (await tus.create(3, data=b"xxxx")).is_problem(413)["code"] == "asset.upload_too_large"


async def test_an_offset_is_a_number_and_the_right_one(tus: Tus) -> None:
    path = await tus.created(10)
    await tus.patch(path, 0, b"1234")
    for offset in NO_NUMBERS:
        answer = await tus.patch(path, offset, b"x")
        assert answer.is_problem(400)["errors"][0]["pointer"] == "Upload-Offset", str(answer)
    for wrong in (0, 3, 5, 10, 11, 10**15 - 1):
        problem = (await tus.patch(path, wrong, b"x")).is_problem(409)
        assert problem["code"] == "asset.upload_offset_wrong"
        assert "4" in problem["detail"]
    missing = await tus.api.patch(path, data=b"x", headers={**TUS, "Content-Type": BYTES})
    missing.is_problem(400)
    assert await tus.offset(path) == 4


async def test_bytes_are_sent_as_what_they_are(tus: Tus) -> None:
    path = await tus.created(10)
    for media_type in (
        "application/octet-stream",
        "application/json",
        "text/plain",
        "",
        BYTES + "x",
    ):
        answer = await tus.patch(path, 0, b"x", Content_Type=media_type)
        assert answer.is_problem(415)["code"] == "media_type_unsupported"
        made = await tus.create(10, data=b"x", Content_Type=media_type)
        made.is_problem(415)
    assert await tus.offset(path) == 0


async def test_metadata_that_is_none_is_refused(tus: Tus, alpha: Tenant, beta: Tenant) -> None:
    malformed = (
        "filename !!!",
        "filename a",
        "filename YQ==,filename YQ==",
        ",",
        "filename YQ==,",
        "file\tname YQ==",
        "filename  YQ==",
        "filename YQ== YQ==",
        "filename " + "é".encode().decode("latin-1"),
        metadata(filename=b"\xff\xfe"),
        metadata(tags=b"\xff"),
        "k" * 300 + " YQ==",
    )
    for meta in malformed:
        answer = await tus.create(5, meta=meta)
        assert answer.is_problem(400)["errors"][0]["pointer"] == "Upload-Metadata", meta
    for meta, status in (
        (metadata(filename="x" * 2000), 422),
        (metadata(tags=",".join(map(str, range(60)))), 422),
        (metadata(tags="x" * 60), 422),
        (metadata(project_id="no id"), 422),
        (metadata(project_id="prj_nobody"), 422),
        (metadata(project_id=beta.project), 422),
    ):
        (await tus.create(5, meta=meta)).is_problem(status)
    for meta in (
        "",
        "is_confidential",
        "relativePath bnVsbA==",
        metadata(filename="../../etc/passwd\x00\n"),
        metadata(other=os.urandom(200)),
        metadata(project_id="").strip(),
    ):
        made = await tus.create(5, meta=meta)
        assert made.status == 201, f"{meta}: {made}"
        assert (await tus.head(made.headers["Location"])).headers.get("Upload-Metadata", "") == meta


async def test_metadata_of_a_megabyte_is_refused(tus: Tus, stack: RunningStack) -> None:
    for size in (8_000, 9_000, 1_000_000):
        head = (
            f"POST {tus.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tus.api.token}\r\n"
            f"Tus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n"
            f"Upload-Metadata: filename {'YWJj' * (size // 4)}\r\n\r\n"
        )
        answer = await send_raw(stack.gateway_url, head.encode(), wait=5)
        assert answer.status in (400, 422), answer.raw[:500]
    lines = "".join(f"Upload-Metadata: k{n} {'YWJj' * 500}\r\n" for n in range(30))
    head = (
        f"POST {tus.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tus.api.token}\r\n"
        f"Tus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n{lines}\r\n"
    )
    answer = await send_raw(stack.gateway_url, head.encode(), wait=5)
    assert answer.status == 400, answer.raw[:500]
    assert b"asset.upload_header_invalid" in answer.body


async def test_a_checksum_that_is_none_is_refused(tus: Tus) -> None:
    path = await tus.created(5)
    sha1 = metadata(sha1=hashlib.sha1(b"hello").digest())
    for given in (
        "crc32 AAAA",
        "SHA1 AAAA",
        "sha1",
        "sha1 ",
        "sha1 !!!",
        "sha1 AAAA",
        "md5 " + sha1[5:],
        sha1 + " x",
        "x" * 5000,
    ):
        answer = await tus.patch(path, 0, b"hello", Upload_Checksum=given)
        assert answer.is_problem(400)["errors"][0]["pointer"] == "Upload-Checksum", given
    assert await tus.offset(path) == 0
    assert (await tus.patch(path, 0, b"hello", Upload_Checksum=sha1)).status == 204


async def test_other_methods_are_not_known(tus: Tus) -> None:
    path = await tus.created(5)
    for method, where in (
        ("PUT", path),
        ("PUT", tus.path),
        ("DELETE", tus.path),
        ("GET", tus.path),
    ):
        (await tus.api(method, where, headers=TUS)).is_problem(405)


async def test_an_upload_that_has_expired_is_gone(tus: Tus, staged: Path) -> None:
    path = await tus.created(5)
    await tus.patch(path, 0, b"hel")
    file = staged / f"{path.rpartition('/')[2]}.bytes"
    os.utime(file, (0, file.stat().st_mtime - UploadsSettings().expire - 1))
    assert (await tus.head(path)).status == 410
    answer = await tus.patch(path, 3, b"lo")
    assert answer.is_problem(410)["code"] == "asset.upload_expired"
    (await tus.api.get(path)).is_problem(410)


async def test_an_organization_has_only_so_many_open(api: Api) -> None:
    tenant = await new_tenant(api, "Many")
    tus, most = Tus(tenant.owner.api, tenant.org), UploadsSettings().open
    # The tenant has one already.
    made = await asyncio.gather(*(tus.create(5) for _ in range(most + 5)))
    refused = [each for each in made if each.status != 201]
    assert len(refused) == 6
    for each in refused:
        problem = each.is_problem(429)
        assert problem["code"] == "asset.uploads_too_many"
        assert str(most) in problem["detail"]
        assert "Retry-After" in each.headers
    paths = [each.headers["Location"] for each in made if each.status == 201]
    assert (await tus.patch(paths[0], 0, b"hello")).status == 204
    assert (await tus.delete(paths[1])).status == 204
    assert [(await tus.create(5)).status for _ in range(3)] == [201, 201, 429]


async def test_a_body_that_is_cut_within_a_chunk_keeps_what_came(tus: Tus) -> None:
    path = await tus.created(10)
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tus.api.token}\r\n"
        f"Tus-Resumable: 1.0.0\r\nContent-Type: {BYTES}\r\nUpload-Offset: 0\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzzz\r\n"
    )
    answer = await send_raw(tus.api.base, head.encode(), wait=5)
    assert answer.status == 400, answer.raw
    assert await tus.offset(path) in (0, 3)
