"""Serving what is stored: the same over HTTP whichever store it is in, and never a part for the whole."""

from __future__ import annotations

import asyncio
import email
import os
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from file_server import KEY, FileServer
from gateway_client import Api

from infra.object_store.base import READ_BYTES
from tests.infra.s3_servers import FlakyS3, moto_server
from tests.infra.stores import local_settings, make_bucket, opened_store, s3_settings

DATA = os.urandom(10_000)


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module", params=["local", "s3"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FileServer]:
    if request.param == "local":
        settings = local_settings(tmp_path_factory.mktemp("files") / "objects")
    else:
        url = request.getfixturevalue("s3_url")
        await make_bucket(url)
        settings = s3_settings(url)
    async with opened_store(settings) as store, FileServer(store).serving() as serving:
        await serving.put(DATA)
        yield serving


@pytest.fixture
async def flaky(s3_url: str) -> AsyncIterator[FlakyS3]:
    await make_bucket(s3_url)
    async with FlakyS3(s3_url).running() as running:
        yield running


@pytest.fixture
def get(http: aiohttp.ClientSession, server: FileServer) -> Api:
    return Api(http, server.base)


async def test_a_file_is_sent_whole_with_all_that_a_cache_needs(
    server: FileServer, get: Api
) -> None:
    for method in ("GET", "HEAD"):
        answer = await get(method, server.url())
        assert answer.status == 200, str(answer)
        assert answer.body == (DATA if method == "GET" else b"")
        assert answer.headers["Content-Length"] == str(len(DATA))
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["ETag"][0] == '"'
        assert parsedate_to_datetime(answer.headers["Last-Modified"]).tzinfo is not None
        policy = dict(
            part.strip().partition("=")[::2] for part in answer.headers["Cache-Control"].split(",")
        )
        assert policy.keys() == {"public", "max-age", "immutable"}
        assert 3600 <= int(policy["max-age"]) <= 7200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("asked", "spans"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=100-199", [(100, 200)]),
        ("bytes=9990-", [(9990, 10_000)]),
        ("bytes=-10", [(9990, 10_000)]),
        ("bytes=0-99999", [(0, 10_000)]),
        ("bytes=-99999", [(0, 10_000)]),
        ("BYTES = 5-9", [(5, 10)]),
        ("bytes=0-1, 100-101 ,-3", [(0, 2), (100, 102), (9997, 10_000)]),
        ("bytes=5-6,1-2", [(5, 7), (1, 3)]),
        ("bytes=99999-,1-2", [(1, 3)]),
        ("bytes=10000-", []),
        ("bytes=-0", []),
        ("bytes=20000-30000,40000-", []),
    ],
)
async def test_parts_are_sent_as_they_are_asked_for(
    asked: str, spans: list[tuple[int, int]], server: FileServer, get: Api
) -> None:
    answer = await get.get(server.url(), headers={"Range": asked})
    if not spans:
        assert answer.is_problem(416)["code"] == "asset.range_outside"
        assert answer.headers["Content-Range"] == "bytes */10000"
        assert answer.headers["Cache-Control"] == "no-store"
        return
    assert answer.status == 206, str(answer)
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Length"] == str(len(answer.body))
    if len(spans) == 1:
        ((start, end),) = spans
        assert answer.body == DATA[start:end]
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/10000"
        return
    assert "Content-Range" not in answer.headers
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.body)
    assert message.get_content_type() == "multipart/byteranges"
    parts: list[Any] = message.get_payload()  # type: ignore[assignment]
    assert [(part["Content-Type"], part["Content-Range"]) for part in parts] == [
        ("image/png", f"bytes {start}-{end - 1}/10000") for start, end in spans
    ]
    boundary = answer.headers["Content-Type"].partition("boundary=")[2].encode()
    bodies = [
        piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        for piece in answer.body.split(b"--" + boundary)[1:-1]
    ]
    assert bodies == [DATA[start:end] for start, end in spans]


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-1",
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=\u0661-\u0662",
        "bytes=1-2,x",
        "bytes",
        "lines=1-2",
        "x" * 2000,
        "bytes=" + "9" * 40 + "-",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(11)),
        "bytes=0-,0-",
    ],
)
async def test_a_range_that_is_none_or_costs_too_much_is_answered_with_the_whole(
    asked: str, server: FileServer, get: Api
) -> None:
    answer = await get.get(server.url(), headers={"Range": asked})
    assert (answer.status, answer.body) == (200, DATA)


async def test_a_range_is_about_what_is_sent_and_not_about_a_head(
    server: FileServer, get: Api
) -> None:
    answer = await get("HEAD", server.url(), headers={"Range": "bytes=0-4"})
    assert (answer.status, answer.headers["Content-Length"]) == (200, "10000")


async def validators(server: FileServer, get: Api) -> tuple[str, str]:
    answer = await get.get(server.url())
    return answer.headers["ETag"], answer.headers["Last-Modified"]


async def test_conditions_are_weighed_in_their_order(server: FileServer, get: Api) -> None:
    etag, modified = await validators(server, get)
    at = parsedate_to_datetime(modified)
    earlier = format_datetime(at - timedelta(days=1), usegmt=True)
    later = format_datetime(at + timedelta(days=1), usegmt=True)
    for given, status in (
        ({"If-None-Match": etag}, 304),
        ({"If-None-Match": f"W/{etag}"}, 304),
        ({"If-None-Match": f'"other", W/"x,y" , {etag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": etag.strip('"')}, 200),
        ({"If-None-Match": '"*"'}, 200),
        ({"If-None-Match": ""}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": later}, 200),
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": later}, 304),
        ({"If-Modified-Since": earlier}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Match": etag}, 200),
        ({"If-Match": f'"other", {etag}'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": f"W/{etag}"}, 412),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": etag, "If-Unmodified-Since": earlier}, 200),
        ({"If-Unmodified-Since": modified}, 200),
        ({"If-Unmodified-Since": earlier}, 412),
        ({"If-Match": etag, "If-None-Match": etag}, 304),
        ({"If-Match": '"other"', "If-None-Match": etag}, 412),
        ({"If-None-Match": etag, "Range": "bytes=0-4"}, 304),
        ({"If-Match": '"other"', "Range": "bytes=0-4"}, 412),
    ):
        for method in ("GET", "HEAD"):
            answer = await get(method, server.url(), headers=given)
            assert answer.status == status, f"{given}: {answer}"
            if status == 304:
                assert answer.body == b""
                kept = ("ETag", "Cache-Control", "Last-Modified")
                assert [bool(answer.headers.get(name)) for name in kept] == [True] * 3
                assert "Content-Type" not in answer.headers
                assert "Content-Disposition" not in answer.headers
            if status == 412:
                assert answer.headers["Cache-Control"] == "no-store"
            if status == 412 and method == "GET":
                assert answer.is_problem(412)["code"] == "asset.file_changed"


async def test_a_part_is_sent_only_of_what_if_range_names(server: FileServer, get: Api) -> None:
    etag, modified = await validators(server, get)
    for named, status in (
        (etag, 206),
        (modified, 206),
        (f"W/{etag}", 200),
        ('"other"', 200),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 200),
        ("nonsense", 200),
        ("*", 200),
    ):
        part = await get.get(server.url(), headers={"Range": "bytes=0-4", "If-Range": named})
        assert part.status == status, named
        assert part.body == (DATA[:5] if status == 206 else DATA)


async def test_what_is_made_anew_under_the_same_key_has_another_etag(
    server: FileServer, get: Api
) -> None:
    key = f"{KEY}-again"
    etags = []
    for data in (DATA, DATA[:-1]):
        await server.put(data, key)
        etags.append((await get.get(server.url(key))).headers["ETag"])
        await server.store.delete([key])
    assert etags[0] != etags[1]


async def test_a_file_that_is_gone_is_not_found(server: FileServer, get: Api) -> None:
    for method in ("GET", "HEAD"):
        answer = await get(method, server.url(f"{KEY}-gone"))
        assert answer.status == 404
        assert answer.headers["Cache-Control"] == "no-store"
    for key in ("orgs/x", "../../../etc/passwd", "orgs", ".incoming/x", "a//b", "\x00", "a/" * 600):
        (await get.get(server.url(key))).is_problem(404)


# --- a broken S3 ---------------------------------------------------------------------------


async def test_a_body_that_breaks_is_read_on_from_where_it_broke(
    flaky: FlakyS3, http: aiohttp.ClientSession
) -> None:
    settings = s3_settings(flaky.url, attempts=3)
    async with opened_store(settings) as store, FileServer(store).serving() as server:
        await server.put(DATA)
        flaky.only, flaky.cut_bodies = "get", 2
        answer = await Api(http, server.base).get(server.url())
        assert (answer.status, answer.body) == (200, DATA)
        assert flaky.cut_bodies == 0


async def test_a_body_that_cannot_be_had_whole_never_looks_whole(
    flaky: FlakyS3, http: aiohttp.ClientSession
) -> None:
    settings = s3_settings(flaky.url, attempts=2)
    async with opened_store(settings) as store, FileServer(store).serving() as server:
        await server.put(DATA)
        for headers in ({}, {"Range": "bytes=0-8999"}, {"Range": "bytes=0-4999,6000-8999"}):
            flaky.only, flaky.cut_bodies = "get", 1000
            with pytest.raises(aiohttp.ClientError):
                await Api(http, server.base).get(server.url(), headers=headers)
        flaky.cut_bodies = 0
        answer = await Api(http, server.base).get(server.url())
        assert (answer.status, answer.body) == (200, DATA)


async def test_an_s3_that_refuses_is_told_of_before_anything_is_sent(
    flaky: FlakyS3, http: aiohttp.ClientSession
) -> None:
    settings = s3_settings(flaky.url, attempts=1)
    async with opened_store(settings) as store, FileServer(store).serving() as server:
        await server.put(DATA)
        for operation in ("head", "get"):
            flaky.only, flaky.refuse = operation, 1000
            answer = await Api(http, server.base).get(server.url())
            assert answer.is_problem(503)["code"] == "dependency_unavailable"
            assert int(answer.headers["Retry-After"]) >= 1
            flaky.refuse = 0


# --- readers that stop ---------------------------------------------------------------------


async def unread(server: FileServer) -> asyncio.StreamWriter:
    """A reader that has asked for a file and reads nothing of it."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
    writer.write(f"GET {server.url()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return writer


@pytest.mark.parametrize("leaves", [True, False], ids=["goes away", "reads no more"])
async def test_a_reader_that_stops_is_given_up(leaves: bool, tmp_path: Path) -> None:
    settings = local_settings(tmp_path / "objects")
    stall = 60.0 if leaves else 0.3
    async with opened_store(settings) as store, FileServer(store, stall=stall).serving() as server:
        await server.put(os.urandom(READ_BYTES) * 80)
        writer = await unread(server)
        if leaves:
            writer.transport.abort()
        async with asyncio.timeout(20):
            await server.ended.wait()
        assert server.running == 0
        open_files = [path for path in Path("/proc/self/fd").iterdir() if _leads_to(path, tmp_path)]
        assert not open_files
        writer.transport.abort()


def _leads_to(link: Path, folder: Path) -> bool:
    """Whether a file below ``folder`` is open; the store keeps folders open."""
    try:
        return str(folder) in os.readlink(link) and not link.is_dir()
    except FileNotFoundError:
        return False
