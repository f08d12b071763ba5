"""Files in and out: streamed, told by their bytes, stored once, served safely."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest
from gateway_client import Answer, Api, Tenant
from gateway_stack import SMALL_LIMIT, eventually
from raw_http import send_raw

from infra.embedded.running import RunningStack

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
EVIL_SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
    b"<script>alert(1)</script><rect width='9' height='9' onload='alert(2)'/></svg>"
)


def picture() -> bytes:
    """A picture nobody has uploaded before."""
    return b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><!-- %s --></svg>' % (
        secrets.token_hex(8).encode()
    )


def text() -> bytes:
    return b"some text " + secrets.token_hex(8).encode()


@pytest.fixture
def assets(alpha: Tenant) -> str:
    return f"/v1/orgs/{alpha.org}/assets"


@pytest.fixture
def store(stack: RunningStack) -> Path:
    return Path(stack.env["GRID8_STORE__FOLDER"])


def stored(store: Path) -> set[Path]:
    return {path for path in store.rglob("*") if path.is_file()}


def form(*parts: tuple[str, bytes, str | None, str | None], boundary: str = "xyzzy") -> bytes:
    """(name, value, filename, type) each, as multipart/form-data."""
    body = b""
    for name, value, filename, media_type in parts:
        head = f'Content-Disposition: form-data; name="{name}"'
        head += f'; filename="{filename}"' if filename is not None else ""
        head += f"\r\nContent-Type: {media_type}" if media_type else ""
        body += f"--{boundary}\r\n{head}\r\n\r\n".encode() + value + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


FORM = {"Content-Type": "multipart/form-data; boundary=xyzzy"}


def disposition(answer: Answer) -> Message:
    message = Message()
    message["Content-Disposition"] = answer.headers["Content-Disposition"]
    return message


# --- taking files ------------------------------------------------------------------------


async def test_a_raw_upload_becomes_an_asset(alpha: Tenant, assets: str) -> None:
    data = text()
    made = await alpha.owner.api.post(
        f"{assets}?filename=notes.txt&tags=a,%20b,,a&project_id={alpha.project}", data=data
    )
    assert made.status == 201, str(made)
    view = made.json
    assert made.headers["Location"] == f"{assets}/{view['id']}"
    assert made.headers["ETag"] == f'"{view["revision"]}"'
    assert (view["name"], view["media_type"], view["kind"]) == (
        "notes.txt",
        "text/plain",
        "document",
    )
    assert (view["bytes"], view["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert (view["tags"], view["project_id"]) == (["a", "b"], alpha.project)
    assert view["status"] in ("processing", "ready")
    shown = await alpha.owner.api.get(made.headers["Location"])
    assert shown.json["id"] == view["id"]
    assert (await alpha.owner.api.get(view["url"])).body == data


async def test_a_form_upload_becomes_an_asset(alpha: Tenant, assets: str) -> None:
    owner, data = alpha.owner.api, text()
    for parts in (
        (("file", data, "a.txt", "text/plain"), ("tags", b"x,y", None, None)),
        (("tags", b"x", None, None), ("tags", b"y", None, None), ("file", data, "a.txt", None)),
        (
            ("project_id", alpha.project.encode(), None, None),
            ("tags", b"x,y", None, "text/plain"),
            ("filename", b"a.txt", None, None),
            ("file", data, "other.bin", "image/png"),
        ),
    ):
        made = await owner.post(assets, data=form(*parts), headers=FORM)
        assert made.status == 201, str(made)
        assert (made.json["name"], made.json["tags"]) == ("a.txt", ["x", "y"])
        assert made.json["sha256"] == hashlib.sha256(data).hexdigest()


async def test_the_bytes_of_a_form_arrive_whole_wherever_they_are_cut(
    stack: RunningStack, alpha: Tenant, assets: str
) -> None:
    """Contents that look like a boundary, in pieces that split it."""
    token = alpha.owner.tokens["access_token"]
    contents = [
        b"\r\n",
        b"\r\n--xyzz",
        b"-",
        b"\r\n--xyzz\r\n--xyz\r\n\r\n",
        b"x" * 65536 + b"\r\n",
        os.urandom(300_000) + b"\r\n--xyzz",
        b"\r\n" * 4000,
    ]
    for content in contents:
        body = form(("file", content, "a.bin", None))
        head = (
            f"POST {assets} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        ).encode()
        parts = urlsplit(stack.gateway_url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(head)
        at = 0
        while at < len(body):
            size = 7 if len(body) < 3000 or at > len(body) - 60 else 50_000
            writer.write(body[at : at + size])
            await writer.drain()
            at += size
        answer = await reader.read()
        writer.close()
        assert b" 201 Created" in answer.split(b"\r\n")[0], answer[-500:]
        assert hashlib.sha256(content).hexdigest().encode() in answer


async def test_what_is_no_proper_upload_leaves_nothing_behind(
    alpha: Tenant, assets: str, store: Path
) -> None:
    owner, data = alpha.owner.api, text()
    file = ("file", data, "a.txt", "text/plain")
    raw = {"Content-Type": "text/plain"}
    multipart = "multipart/form-data"
    wrong: dict[str, tuple[str, dict[str, str], bytes, int, str]] = {
        "empty": ("", raw, b"", 422, "asset.upload_empty"),
        "empty part": ("", FORM, form(("file", b"", "a", None)), 422, "asset.upload_empty"),
        "no file": ("", FORM, form(("tags", b"x", None, None)), 422, "validation_failed"),
        "no parts": ("", FORM, b"--xyzzy--\r\n", 422, "validation_failed"),
        "another name": ("", FORM, form(("image", data, "a", None)), 422, "validation_failed"),
        "two files": ("", FORM, form(file, file), 422, "validation_failed"),
        "file, then unknown": (
            "",
            FORM,
            form(file, ("x", b"", None, None)),
            422,
            "validation_failed",
        ),
        "file, then a bad project": (
            "",
            FORM,
            form(file, ("project_id", b"x y", None, None)),
            422,
            "validation_failed",
        ),
        "file, then bytes that are no text": (
            "",
            FORM,
            form(file, ("tags", b"\xff\xfe", None, None)),
            400,
            "asset.upload_malformed",
        ),
        "file, then too long a field": (
            "",
            FORM,
            form(file, ("tags", b"x" * 9000, None, None)),
            422,
            "validation_failed",
        ),
        "too many tags": (
            "?tags=" + ",".join(map(str, range(60))),
            raw,
            data,
            422,
            "validation_failed",
        ),
        "too long a tag": ("?tags=" + "x" * 60, raw, data, 422, "validation_failed"),
        "unknown project": ("?project_id=prj_nobody", raw, data, 422, "reference_unknown"),
        "malformed project": ("?project_id=x", raw, data, 422, "validation_failed"),
        "wait for what": ("?wait=done", raw, data, 422, "validation_failed"),
        "no boundary": ("", {"Content-Type": multipart}, form(file), 400, "asset.upload_malformed"),
        "empty boundary": (
            "",
            {"Content-Type": multipart + '; boundary=""'},
            form(file),
            400,
            "asset.upload_malformed",
        ),
        "long boundary": (
            "",
            {"Content-Type": multipart + "; boundary=" + "x" * 200},
            form(file, boundary="x" * 200),
            400,
            "asset.upload_malformed",
        ),
        "other boundary": ("", FORM, form(file, boundary="other"), 400, "asset.upload_malformed"),
        "no last boundary": ("", FORM, form(file)[:-11], 400, "asset.upload_malformed"),
        "cut in the file": ("", FORM, form(file)[:-20], 400, "asset.upload_malformed"),
        "cut in a head": ("", FORM, b"--xyzzy\r\nContent-Dis", 400, "asset.upload_malformed"),
        "a head that is none": (
            "",
            FORM,
            b"--xyzzy\r\nfoo bar\r\n\r\nx\r\n--xyzzy--\r\n",
            400,
            "asset.upload_malformed",
        ),
        "a head with controls": (
            "",
            FORM,
            b"--xyzzy\r\nfoo: \x00\r\n\r\nx\r\n--xyzzy--\r\n",
            400,
            "asset.upload_malformed",
        ),
        "too many heads": (
            "",
            FORM,
            b"--xyzzy\r\n"
            + b"".join(b"h%d: x\r\n" % n for n in range(500))
            + b"\r\nx\r\n--xyzzy--\r\n",
            400,
            "asset.upload_malformed",
        ),
        "too long a head": (
            "",
            FORM,
            b"--xyzzy\r\nfoo: " + b"x" * 20_000 + b"\r\n\r\nx\r\n--xyzzy--\r\n",
            400,
            "asset.upload_malformed",
        ),
        "no name": (
            "",
            FORM,
            b"--xyzzy\r\nContent-Disposition: form-data\r\n\r\nx\r\n--xyzzy--\r\n",
            422,
            "validation_failed",
        ),
        "nested": (
            "",
            FORM,
            b"--xyzzy\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n--xyzzy--\r\n",
            400,
            "asset.upload_malformed",
        ),
        "a preamble without end": ("", FORM, b"x" * 300_000, 400, "asset.upload_malformed"),
        "form as JSON": (
            "",
            {"Content-Type": "multipart/json; boundary=xyzzy"},
            b"{}",
            400,
            "asset.upload_malformed",
        ),
        "not gzip": ("", {**raw, "Content-Encoding": "gzip"}, data, 415, "media_type_unsupported"),
    }
    before = stored(store)
    count = len((await owner.get(f"{assets}?limit=200")).json["items"])
    for name, (query, headers, body, status, code) in wrong.items():
        answer = await owner.post(assets + query, data=body, headers=headers)
        assert answer.status == status, f"{name}: {answer}"
        assert answer.is_problem(status)["code"] == code, f"{name}: {answer}"
    assert stored(store) == before
    assert len((await owner.get(f"{assets}?limit=200")).json["items"]) == count


async def cut_upload(stack: RunningStack, path: str, token: str, head: str, body: bytes) -> None:
    parts = urlsplit(stack.gateway_url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{head}\r\n\r\n".encode()
    )
    for at in range(0, len(body), 100_000):
        writer.write(body[at : at + 100_000])
        await writer.drain()
    await asyncio.sleep(0.2)  # so that some of it has reached the store's folder
    writer.transport.abort()


async def test_a_connection_cut_in_the_middle_leaves_nothing_behind(
    stack: RunningStack, alpha: Tenant, assets: str, store: Path
) -> None:
    token, data = alpha.owner.tokens["access_token"], os.urandom(3_000_000)
    before = stored(store)
    total = (await alpha.owner.api.get(f"{assets}?limit=200")).json["items"]
    one_chunk = b"%x\r\n%s\r\n" % (len(data), data)
    heads = {
        "length": ("Content-Type: image/png\r\nContent-Length: 9000000", data),
        "chunked": ("Content-Type: image/png\r\nTransfer-Encoding: chunked", one_chunk),
        "form": (
            f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: 9000000",
            form(("file", data, "a.png", None))[:-30],
        ),
        "after the file": (
            f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: 9000000",
            form(("file", data, "a.png", None))[:-4] + b"\r\nContent-Disposition: form-da",
        ),
    }
    for head, body in heads.values():
        await cut_upload(stack, assets, token, head, body)

    async def left() -> set[Path]:
        return stored(store) - before

    await eventually(left, lambda found: not found, within=10)
    again = (await alpha.owner.api.get(f"{assets}?limit=200")).json["items"]
    assert len(again) == len(total)


async def test_an_upload_over_the_limit_is_refused_and_gone(
    http: aiohttp.ClientSession, stack: RunningStack, alpha: Tenant, assets: str, store: Path
) -> None:
    base = stack.process("gateway-small").process.shown
    small = Api(http, base, alpha.owner.tokens["access_token"])
    before = stored(store)
    long = b"x" * (SMALL_LIMIT + 1)

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, 5 * SMALL_LIMIT, 10_000):
            yield b"x" * 10_000 if at else b"first"

    raw = {"Content-Type": "text/plain"}
    for data, headers in (
        (long, raw),
        (b"x" * 3_000_000, raw),
        (form(("file", long, "a.txt", None)), FORM),
        (form(("tags", b"x", None, None), ("file", long * 3, "a.txt", None)), FORM),
    ):
        answer = await small.post(assets, data=data, headers=headers)
        assert answer.is_problem(413)["code"] == "asset.upload_too_large"
    with_chunks = await small.post(assets, data=chunks(), headers=raw)
    assert with_chunks.is_problem(413)["code"] == "asset.upload_too_large"
    assert stored(store) == before
    fits = await small.post(assets, data=secrets.token_bytes(SMALL_LIMIT), headers=raw)
    assert (fits.status, fits.json["bytes"]) == (201, SMALL_LIMIT)


async def test_the_bytes_decide_what_a_file_is(alpha: Tenant, assets: str) -> None:
    owner = alpha.owner.api
    cases = [
        (PNG, "text/html", "a.html", "image/png", "image"),
        (bytes(9), "image/png", "a.png", "application/octet-stream", "image"),
        (bytes(9), "text/html", "a.html", "application/octet-stream", "other"),
        (b"%PDF-1.7\n" + bytes(50), "image/png", "a.png", "application/pdf", "document"),
        (b"a,b\n1,2\n", "application/json", "a.csv", "text/csv", "document"),
        (EVIL_SVG, "image/png", "a.png", "image/svg+xml", "image"),
    ]
    for data, declared, name, media_type, kind in cases:
        made = await owner.post(
            f"{assets}?filename={name}", data=data, headers={"Content-Type": declared}
        )
        assert made.status == 201, str(made)
        assert (made.json["media_type"], made.json["kind"]) == (media_type, kind)
        file = await owner.get(made.json["url"])
        assert file.headers["Content-Type"] == media_type


async def test_waiting_for_ready_answers_with_renditions_or_the_reason(
    alpha: Tenant, assets: str
) -> None:
    owner = alpha.owner.api
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    data = picture()
    ready = await owner.post(f"{assets}?filename=p.svg&wait=ready", data=data, headers=headers)
    assert (ready.status, ready.json["status"]) == (201, "ready")
    assert (ready.json["width"], ready.json["height"]) == (9, 9)
    assert ready.json["placeholder"].startswith("data:image/")
    assert re.fullmatch("#[0-9a-f]{6}", ready.json["dominant_color"])
    for rendition in ready.json["renditions"]:
        file = await owner.get(rendition["url"])
        assert file.headers["Content-Type"] == rendition["media_type"]
        assert len(file.body) == rendition["bytes"]
    again = await owner.post(f"{assets}?filename=p.svg&wait=ready", data=data, headers=headers)
    assert again.json["id"] == ready.json["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == ready.headers["Location"]
    broken = await owner.post(f"{assets}?filename=b.png&wait=ready", data=PNG[:40])
    assert (broken.status, broken.json["status"]) == (201, "failed")
    assert broken.json["error"]["code"]


async def test_the_same_bytes_are_stored_once_and_go_with_the_last_asset(
    alpha: Tenant, assets: str, store: Path
) -> None:
    owner, data = alpha.owner.api, text()
    before = stored(store)

    async def new() -> set[Path]:
        return stored(store) - before

    made = await asyncio.gather(
        *(owner.post(f"{assets}?filename=same{n}.txt", data=data) for n in range(5))
    )
    ids = [each.json["id"] for each in made]
    assert len(set(ids)) == 5
    assert len({each.json["sha256"] for each in made}) == 1
    await eventually(new, lambda found: len(found) == 1)
    trash = f"/v1/orgs/{alpha.org}/trash"
    for id in ids[1:]:
        assert (await owner.delete(f"{assets}/{id}")).status == 204
        assert (await owner.delete(f"{trash}/{id}")).status == 204
    left = (await owner.get(f"{assets}/{ids[0]}")).json
    assert (await owner.get(left["url"])).body == data
    assert (await owner.delete(f"{assets}/{ids[0]}")).status == 204
    assert (await owner.get(left["url"])).body == data, "in the trash it is kept"
    assert (await owner.delete(f"{trash}/{ids[0]}")).status == 204
    await eventually(new, lambda found: not found)


async def test_an_upload_repeated_by_key_is_stored_once(
    alpha: Tenant, assets: str, store: Path
) -> None:
    owner, data = alpha.owner.api, text()
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    before = stored(store)
    first = await owner.post(f"{assets}?filename=k.txt", data=data, headers=headers)
    again = await owner.post(f"{assets}?filename=k.txt", data=data, headers=headers)
    assert (again.status, again.json) == (201, first.json)
    other = await owner.post(f"{assets}?filename=k.txt", data=data + b"!", headers=headers)
    assert other.is_problem(422)["code"] == "idempotency.key_reused"
    assert len(stored(store) - before) == 1


async def test_an_asset_moves_changes_and_goes(alpha: Tenant, assets: str) -> None:
    owner = alpha.owner.api
    path = (await owner.post(f"{assets}?filename=m.txt&wait=ready", data=text())).headers[
        "Location"
    ]
    for change, shown in (
        ({"name": "  new name "}, {"name": "new name"}),
        ({"tags": ["b", "a", "b"]}, {"tags": ["b", "a"]}),
        ({"project_id": alpha.project}, {"project_id": alpha.project}),
        ({"project_id": None}, {"project_id": None}),
    ):
        changed = await owner.patch(path, change)
        assert changed.status == 200, str(changed)
        assert changed.json.items() >= shown.items()
    (await owner.patch(path, {})).is_problem(422)
    (await owner.patch(path, {"name": None})).is_problem(422)
    assert (await owner.delete(path)).status == 204
    (await owner.get(path)).is_problem(404)


# --- names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\win.ini", "win.ini"),
        ("/absolute/a.txt", "a.txt"),
        ("a\r\nSet-Cookie: x=y.txt", "aSet-Cookie: x=y.txt"),
        ("a\x00b.txt", "ab.txt"),
        ("‮txt.exe", "txt.exe"),
        ("", "untitled"),
        ("...", "..."),
        ("/", "untitled"),
        ("   ", "untitled"),
        ("x" * 300 + ".jpeg", "x" * 115 + ".jpeg"),
        ("é.txt", "é.txt"),
        ("日本語 'quoted' \"x\".txt", "日本語 'quoted' \"x\".txt"),
        ("<script>.svg", "<script>.svg"),
        ("a%2Fb;c=d,e.txt", "a%2Fb;c=d,e.txt"),
        ("😀.png", "😀.png"),
    ],
)
async def test_a_name_is_cleaned_and_comes_back_whole(
    given: str, kept: str, alpha: Tenant, assets: str
) -> None:
    from urllib.parse import quote

    owner = alpha.owner.api
    made = await owner.post(f"{assets}?filename={quote(given, safe='')}", data=text())
    assert made.status == 201, str(made)
    assert made.json["name"] == kept
    file = await owner.get(made.json["url"])
    assert file.status == 200, str(file)
    header = file.headers["Content-Disposition"]
    assert header.isascii()
    assert header.startswith("attachment; ")
    encoded = re.search(r"filename\*=UTF-8''(\S+)$", header)
    assert encoded
    from urllib.parse import unquote

    # Text is not given out as what it is not.
    given_out = re.sub(r"\.(jpeg|svg|png)$", ".txt", kept).replace(".exe", ".exe.bin")
    assert unquote(encoded[1]) == given_out
    plain = disposition(file).get_filename(failobj="")
    assert plain


# --- large ones --------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_large_upload_takes_no_memory(
    stack: RunningStack, alpha: Tenant, assets: str
) -> None:
    block, blocks = os.urandom(1024 * 1024), 200
    gateway = psutil.Process(stack.process("gateway").pid)
    expected = hashlib.sha256()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(blocks):
            expected.update(block)
            yield block

    before = peak = gateway.memory_info().rss
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, gateway.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    made = await alpha.owner.api.post(f"{assets}?filename=large.bin", data=chunks())
    done.set()
    await watching
    assert made.status == 201, str(made)
    assert made.json["bytes"] == blocks * len(block)
    assert made.json["sha256"] == expected.hexdigest()
    assert peak - before < 50 * 1024 * 1024, f"{(peak - before) / 2**20:.0f} MiB"
    part = await alpha.owner.api.get(made.json["url"], headers={"Range": "bytes=-1000"})
    assert part.body == block[-1000:]
    assert (await alpha.owner.api.delete(made.headers["Location"])).status == 204


async def test_an_upload_that_never_ends_holds_nobody_else_up(
    stack: RunningStack, alpha: Tenant, assets: str, store: Path
) -> None:
    token = alpha.owner.tokens["access_token"]
    head = (
        f"POST {assets} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: image/png\r\nContent-Length: 99999\r\n\r\nxx"
    )
    waiting: list[Any] = [
        asyncio.create_task(send_raw(stack.gateway_url, head.encode())) for _ in range(20)
    ]
    await asyncio.sleep(0.1)
    started = time.monotonic()
    assert (await alpha.owner.api.get(assets)).status == 200
    assert time.monotonic() - started < 1
    await asyncio.gather(*waiting)
