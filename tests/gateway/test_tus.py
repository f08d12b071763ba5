"""Files in pieces, by the tus protocol 1.0.0: every break is gone on after."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from gateway_client import TUS, Api, Tenant, add_member, new_tenant
from gateway_stack import ORIGIN, SMALL_LIMIT, eventually
from redis.asyncio import Redis
from tus_client import BYTES, Tus, metadata, sending

from infra.embedded.running import RunningStack
from infra.staged_uploads import blob_of


@pytest.fixture
def tus(alpha: Tenant) -> Tus:
    return Tus(alpha.owner.api, alpha.org)


@pytest.fixture
def other(tus: Tus, http: aiohttp.ClientSession, stack: RunningStack) -> Tus:
    """The same uploads by another gateway."""
    base = stack.process("gateway-small").process.shown
    return tus.at(Api(http, base, tus.api.token))


@pytest.fixture
def staged(stack: RunningStack, alpha: Tenant) -> Path:
    return Path(stack.env["GRID8_STORE__FOLDER"]) / ".staged" / alpha.org


def text(size: int = 40) -> bytes:
    return (secrets.token_hex(size // 2 + 1)).encode()[:size]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- from the first byte to the asset ----------------------------------------------------


async def test_a_file_in_pieces_becomes_an_asset(tus: Tus, alpha: Tenant) -> None:
    data = text(30_000)
    meta = metadata(
        filename="über.txt",
        filetype="text/plain",
        project_id=alpha.project,
        folder_id=alpha.folder,
        tags="a, b,a",
    )
    path = await tus.created(len(data), meta=meta)
    begun = await tus.head(path)
    assert begun.status == 200
    assert begun.headers["Upload-Offset"] == "0"
    assert begun.headers["Upload-Length"] == "30000"
    assert begun.headers["Upload-Metadata"] == meta
    assert begun.headers["Cache-Control"] == "no-store"
    assert begun.headers["Tus-Resumable"] == "1.0.0"
    assert begun.headers["Upload-Expires"].endswith("GMT")
    at = 0
    for size in (1, 9_999, 10_000):
        answer = await tus.patch(path, at, data[at : at + size])
        at += size
        assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(at)), str(answer)
        assert "Upload-Expires" in answer.headers
        assert "Content-Location" not in answer.headers
    last = await tus.patch(path, at, data[at:])
    assert (last.status, last.headers["Upload-Offset"]) == (204, "30000"), str(last)
    assert "Upload-Expires" not in last.headers
    asset = await tus.asset(last)
    assert (asset["name"], asset["media_type"]) == ("über.txt", "text/plain")
    assert (asset["bytes"], asset["sha256"]) == (len(data), sha256(data))
    assert (asset["tags"], asset["project_id"]) == (["a", "b"], alpha.project)
    assert asset["folder_id"] == alpha.folder
    assert (await tus.api.get(asset["url"])).body == data
    after = await tus.head(path)
    assert (after.status, after.headers["Upload-Offset"]) == (200, "30000")
    assert after.headers["Content-Location"] == last.headers["Content-Location"]
    shown = await tus.api.get(path)
    assert (shown.json["asset_id"], shown.json["offset"]) == (asset["id"], 30_000)


async def test_nothing_of_it_stays_beside_the_asset(tus: Tus, staged: Path) -> None:
    path = await tus.created(5)
    id = path.rpartition("/")[2]
    assert {each.name for each in staged.glob(f"{id}*")} == {f"{id}.bytes", f"{id}.info"}
    assert (await tus.patch(path, 0, b"hello")).status == 204
    assert list(staged.glob(f"{id}*")) == []


async def test_the_first_bytes_may_come_with_the_creation(tus: Tus) -> None:
    data = text(5_000)
    made = await tus.create(len(data), data=data[:2_000])
    assert (made.status, made.headers["Upload-Offset"]) == (201, "2000"), str(made)
    last = await tus.patch(made.headers["Location"], 2_000, data[2_000:])
    assert (await tus.asset(last))["sha256"] == sha256(data)


async def test_all_bytes_may_come_with_the_creation(tus: Tus) -> None:
    data = text(5_000)
    made = await tus.create(len(data), data=data, meta=metadata(name="all.txt"))
    assert (made.status, made.headers["Upload-Offset"]) == (201, "5000"), str(made)
    asset = await tus.asset(made)
    assert (asset["name"], asset["sha256"]) == ("all.txt", sha256(data))
    assert await tus.offset(made.headers["Location"]) == 5_000


async def test_the_length_may_be_said_later(tus: Tus) -> None:
    data = text(3_000)
    made = await tus.create(Upload_Defer_Length="1")
    path = made.headers["Location"]
    head = await tus.head(path)
    assert head.headers["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in head.headers
    assert (await tus.patch(path, 0, data[:1_000])).status == 204
    said = await tus.patch(path, 1_000, data[1_000:2_000], Upload_Length="3000")
    assert (said.status, said.headers["Upload-Offset"]) == (204, "2000")
    assert (await tus.head(path)).headers["Upload-Length"] == "3000"
    again = await tus.patch(path, 2_000, b"", Upload_Length="4000")
    assert again.is_problem(400)["errors"][0]["pointer"] == "Upload-Length"
    last = await tus.patch(path, 2_000, data[2_000:], Upload_Length="3000")
    assert (await tus.asset(last))["sha256"] == sha256(data)


async def test_the_length_may_be_said_when_all_bytes_are_there(tus: Tus) -> None:
    made = await tus.create(data=b"all of it", Upload_Defer_Length="1")
    less = await tus.patch(made.headers["Location"], 9, b"", Upload_Length="8")
    assert less.is_problem(400)["code"] == "asset.upload_header_invalid"
    last = await tus.patch(made.headers["Location"], 9, b"", Upload_Length="9")
    assert (await tus.asset(last))["sha256"] == sha256(b"all of it")


async def test_what_is_supported_is_told_to_anybody(tus: Tus) -> None:
    told = await tus.api.as_(None)("OPTIONS", tus.path)
    assert told.status == 204, str(told)
    assert told.headers["Tus-Version"] == "1.0.0"
    assert set(told.headers["Tus-Extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "termination",
    }
    assert told.headers["Tus-Max-Size"] == str(5 * 2**30)
    assert told.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,md5"


async def test_a_browser_of_an_allowed_origin_may_read_and_send_the_headers(tus: Tus) -> None:
    asked = await tus.api.as_(None)(
        "OPTIONS",
        tus.path,
        headers={"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"},
    )
    allowed = asked.headers["Access-Control-Allow-Headers"]
    for name in ("Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata"):
        assert name in allowed
    assert "PATCH" in asked.headers["Access-Control-Allow-Methods"]
    made = await tus.create(5, Origin=ORIGIN)
    exposed = made.headers["Access-Control-Expose-Headers"]
    for name in ("Location", "Upload-Offset", "Upload-Expires", "Content-Location"):
        assert name in exposed


async def test_methods_may_be_named_in_a_header(tus: Tus) -> None:
    path = await tus.created(5)

    async def post(method: str, **headers: str) -> str:
        sent = {**TUS, "X-HTTP-Method-Override": method, **headers}
        data = b"hel" if method == "PATCH" else None
        answer = await tus.api.post(path, headers=sent, data=data)
        assert answer.status in (200, 204), str(answer)
        return answer.headers.get("Upload-Offset", "")

    assert await post("PATCH", **{"Content-Type": BYTES, "Upload-Offset": "0"}) == "3"
    assert await post("HEAD") == "3"
    await post("DELETE")
    assert (await tus.head(path)).status == 404
    other = await tus.created(5)
    answer = await tus.api.post(other, headers={**TUS, "X-HTTP-Method-Override": "TRACE"})
    assert answer.is_problem(400)["errors"][0]["pointer"] == "X-HTTP-Method-Override"


# --- after a break -----------------------------------------------------------------------


async def test_what_came_before_the_connection_broke_is_kept(tus: Tus) -> None:
    data = secrets.token_bytes(3_000_000)
    path = await tus.created(len(data))
    async with sending(tus, path, 0, len(data)) as (_, writer):
        writer.write(data[:2_000_001])
        await writer.drain()
        await eventually(lambda: tus.offset(path), lambda offset: offset == 2_000_001)
    answer = await tus.patch(path, 2_000_001, data[2_000_001:])
    assert (await tus.asset(answer))["sha256"] == sha256(data)


async def test_another_gateway_goes_on(tus: Tus, other: Tus) -> None:
    data = text(SMALL_LIMIT)
    path = await tus.created(len(data))
    await tus.patch(path, 0, data[:1_000])
    await other.patch(path, 1_000, data[1_000:2_000])
    await tus.patch(path, 2_000, data[2_000:3_000])
    last = await other.patch(path, 3_000, data[3_000:])
    assert (await tus.asset(last))["sha256"] == sha256(data)


async def test_a_final_request_whose_answer_was_lost_makes_no_second_asset(tus: Tus) -> None:
    data = text()
    path = await tus.created(len(data))
    first = await tus.patch(path, 0, data)
    for _ in range(2):
        again = await tus.patch(path, len(data), b"")
        assert (again.status, again.headers["Upload-Offset"]) == (204, str(len(data)))
        assert again.headers["Content-Location"] == first.headers["Content-Location"]
    assert (await tus.patch(path, 0, data)).is_problem(409)["code"] == "asset.upload_offset_wrong"
    assert (await tus.patch(path, len(data), b"x")).is_problem(413)
    found = await tus.api.get(f"/v1/orgs/{tus.org}/assets?sha256={sha256(data)}")
    assert len(found.json["items"]) == 1


@pytest.mark.parametrize("by", ["PATCH", "HEAD"])
async def test_a_gateway_that_died_before_it_noted_the_asset_makes_no_second_one(
    tus: Tus, staged: Path, stack: RunningStack, by: str
) -> None:
    """All is put back as it was when the command had been sent, and nothing noted since."""
    data = text()
    path = await tus.created(len(data), meta=metadata(filename="once.txt"))
    id = path.rpartition("/")[2]
    await tus.patch(path, 0, data[:-1])
    info = json.loads((staged / f"{id}.info").read_bytes())
    first = await tus.patch(path, len(data) - 1, data[-1:])
    info["completed"] = len(data)
    info["note"]["registering"] = {
        "blob_id": blob_of(id),
        "name": "once.txt",
        "media_type": "text/plain",
        "kind": "document",
        "bytes": len(data),
        "sha256": sha256(data),
    }
    (staged / f"{id}.info").write_text(json.dumps(info))
    redis = Redis.from_url(stack.env["GRID8_REDIS__URL"])
    assert await redis.delete(f"grid8:uploads:{tus.org}:finished:{id}") == 1
    await redis.aclose()
    again = await (tus.head(path) if by == "HEAD" else tus.patch(path, len(data), b""))
    assert again.headers["Content-Location"] == first.headers["Content-Location"]
    assert list(staged.glob(f"{id}*")) == []
    found = await tus.api.get(f"/v1/orgs/{tus.org}/assets?sha256={sha256(data)}")
    assert len(found.json["items"]) == 1


@pytest.mark.parametrize("by", ["PATCH", "HEAD"])
async def test_a_gateway_that_died_with_the_last_byte_leaves_an_upload_to_end(
    tus: Tus, staged: Path, by: str
) -> None:
    data = text()
    path = await tus.created(len(data))
    await tus.patch(path, 0, data[:-1])
    with (staged / f"{path.rpartition('/')[2]}.bytes").open("ab") as file:
        file.write(data[-1:])
    answer = await (tus.head(path) if by == "HEAD" else tus.patch(path, len(data), b""))
    assert (await tus.asset(answer))["sha256"] == sha256(data)


async def test_the_same_bytes_again_are_an_asset_of_its_own(tus: Tus) -> None:
    data = text()
    ids = set()
    for _ in range(2):
        made = await tus.create(len(data), data=data)
        ids.add((await tus.asset(made))["id"])
        assert (await tus.api.get((await tus.asset(made))["url"])).body == data
    assert len(ids) == 2


# --- at the same time --------------------------------------------------------------------


async def test_of_two_at_once_one_writes(tus: Tus, other: Tus) -> None:
    data = text(60_000)
    path = await tus.created(len(data))
    async with sending(tus, path, 0, len(data)) as (reader, writer):
        writer.write(data[:1])
        at, done = 1, asyncio.Event()

        async def trickle() -> None:
            nonlocal at
            while not done.is_set():
                writer.write(data[at : at + 1])
                at += 1
                await asyncio.sleep(0.1)

        trickling = asyncio.create_task(trickle())
        await eventually(lambda: tus.offset(path), lambda offset: offset > 0)
        for second in (tus, other):
            refused = await second.patch(path, 1, data[1:])
            assert refused.is_problem(423, 409)["code"] == "asset.upload_locked"
        assert (await other.delete(path)).is_problem(423)
        done.set()
        await trickling
        writer.write(data[at:])
        assert (await reader.readline()).split()[1] == b"204"
    found = await tus.head(path)
    assert (await tus.asset(found))["sha256"] == sha256(data)


async def test_a_connection_that_is_silent_gives_way(tus: Tus, other: Tus) -> None:
    data = text(1_000)
    path = await tus.created(len(data))
    async with sending(tus, path, 0, len(data)) as (_, writer):
        writer.write(data[:500])
        await eventually(lambda: tus.offset(path), lambda offset: offset == 500)
        last = await eventually(
            lambda: other.patch(path, 500, data[500:]), lambda answer: answer.status == 204
        )
    assert (await tus.asset(last))["sha256"] == sha256(data)


# --- checksums ---------------------------------------------------------------------------


def checksum(algorithm: str, data: bytes) -> str:
    digest = hashlib.new(algorithm, data).digest()
    return metadata(**{algorithm: digest})


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
async def test_bytes_with_their_checksum_are_kept(tus: Tus, algorithm: str) -> None:
    data = secrets.token_bytes(2_500_000)
    made = await tus.create(
        len(data), data=data[:1_000], Upload_Checksum=checksum(algorithm, data[:1_000])
    )
    assert made.headers["Upload-Offset"] == "1000"
    last = await tus.patch(
        made.headers["Location"],
        1_000,
        data[1_000:],
        Upload_Checksum=checksum(algorithm, data[1_000:]),
    )
    assert (await tus.asset(last))["sha256"] == sha256(data)


async def test_bytes_with_another_checksum_are_not_kept(tus: Tus, staged: Path) -> None:
    data = secrets.token_bytes(2_500_000)
    path = await tus.created(len(data))
    await tus.patch(path, 0, data[:1_000])
    wrong = await tus.patch(
        path, 1_000, data[1_000:], Upload_Checksum=checksum("sha1", data[1_000:] + b"x")
    )
    assert wrong.is_problem(460)["code"] == "asset.upload_checksum_wrong"
    assert await tus.offset(path) == 1_000
    last = await tus.patch(path, 1_000, data[1_000:])
    assert (await tus.asset(last))["sha256"] == sha256(data)
    before = set(staged.iterdir())
    made = await tus.create(5, data=b"hello", Upload_Checksum=checksum("md5", b"hallo"))
    assert made.is_problem(460)
    assert set(staged.iterdir()) == before


async def test_bytes_that_break_off_before_their_checksum_is_known_are_not_kept(tus: Tus) -> None:
    data = secrets.token_bytes(100_000)
    path = await tus.created(len(data))

    async def half() -> AsyncIterator[bytes]:
        yield data[:50_000]
        raise ConnectionError

    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await tus.patch(path, 0, half(), Upload_Checksum=checksum("sha1", data))
    last = await eventually(
        lambda: tus.patch(path, 0, data, Upload_Checksum=checksum("sha1", data)),
        lambda answer: answer.status == 204,
    )
    assert (await tus.asset(last))["sha256"] == sha256(data)


# --- the end of an upload ----------------------------------------------------------------


async def test_an_upload_that_was_given_up_is_gone(tus: Tus, staged: Path) -> None:
    path = await tus.created(1_000)
    await tus.patch(path, 0, b"x")
    assert (await tus.delete(path)).status == 204
    assert (await tus.head(path)).status == 404
    assert (await tus.patch(path, 1, b"x")).is_problem(404)["code"] == "asset.upload_not_found"
    assert (await tus.delete(path)).is_problem(404)
    assert list(staged.glob(f"{path.rpartition('/')[2]}*")) == []


async def test_the_asset_of_an_upload_that_is_given_up_stays(tus: Tus) -> None:
    data = text()
    made = await tus.create(len(data), data=data)
    assert (await tus.delete(made.headers["Location"])).status == 204
    assert (await tus.head(made.headers["Location"])).status == 404
    assert (await tus.asset(made))["sha256"] == sha256(data)


# --- who, and where to -------------------------------------------------------------------


async def test_who_may_only_edit_in_a_brand_uploads_into_it(api: Api, alpha: Tenant) -> None:
    person = await add_member(api, alpha, "viewer")
    given = await alpha.owner.api.post(
        f"/v1/orgs/{alpha.org}/brands/{alpha.brand}/roles", {"holder": person.id, "role": "editor"}
    )
    assert given.status == 201, str(given)
    tus = Tus(person.api, alpha.org)
    outside = await tus.create(5)
    assert outside.is_problem(403)["code"] == "permission_missing"
    path = await tus.created(5, meta=metadata(project_id=alpha.project))
    assert await tus.offset(path) == 0
    last = await tus.patch(path, 0, b"hello")
    assert (await tus.asset(last))["project_id"] == alpha.project
    elsewhere = await Tus(alpha.owner.api, alpha.org).created(5)
    assert (await tus.patch(elsewhere, 0, b"hello")).is_problem(403)
    assert (await tus.head(elsewhere)).status == 403
    assert (await tus.delete(elsewhere)).is_problem(403)


async def test_where_an_upload_goes_is_asked_again_at_its_end(api: Api) -> None:
    tenant = await new_tenant(api, "Archive")
    tus, data = Tus(tenant.owner.api, tenant.org), text()
    meta = metadata(project_id=tenant.project)
    path = await tus.created(len(data), meta=meta)
    project = f"/v1/orgs/{tenant.org}/projects/{tenant.project}"
    assert (await tus.api.patch(project, {"status": "archived"})).status == 200
    refused = await tus.create(5, meta=meta)
    refused.is_problem(409)
    last = await tus.patch(path, 0, data)
    assert last.is_problem(409)["code"] == refused.code
    assert (await tus.head(path)).status == 409
    assert (await tus.api.patch(project, {"status": "active"})).status == 200
    last = await tus.patch(path, len(data), b"")
    assert (await tus.asset(last))["sha256"] == sha256(data)


async def test_somebody_elses_upload_is_unknown(tus: Tus, beta: Tenant) -> None:
    path = await tus.created(5)
    stranger = Tus(beta.owner.api, beta.org)
    for theirs in (path, path.replace(tus.org, beta.org)):
        assert (await stranger.head(theirs)).status == 404
        (await stranger.patch(theirs, 0, b"hello")).is_problem(404)
        (await stranger.delete(theirs)).is_problem(404)
    assert await tus.offset(path) == 0
