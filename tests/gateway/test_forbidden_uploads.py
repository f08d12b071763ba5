"""What is not taken is refused before a byte is kept; what is two things at once harms nobody."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from gateway_client import Tenant
from test_uploads import EVIL_SVG, FORM, PNG, form, stored
from tus_client import Tus, metadata

from infra.embedded.running import RunningStack
from tests.infra import files

FORBIDDEN = [
    (b"MZ\x90\x00\x03" + bytes(100), "application/pdf", "report.pdf"),
    (b"<!doctype html><script>alert(1)</script>", "image/png", "photo.png"),
    (b"#!/bin/sh\nrm -rf /\n", "text/plain", "notes.txt"),
    (b"alert(document.domain)", "application/javascript", "a.js"),
    (files.zipped({"META-INF/MANIFEST.MF": "x"}), "application/zip", "a.zip"),
    (b"CWS\x0a\x00\x10\x00\x00", "application/x-shockwave-flash", "a.swf"),
]


@pytest.fixture
def assets(alpha: Tenant) -> str:
    return f"/v1/orgs/{alpha.org}/assets"


@pytest.mark.parametrize(("data", "declared", "name"), FORBIDDEN)
async def test_what_would_run_is_refused_and_not_kept(
    data: bytes, declared: str, name: str, alpha: Tenant, assets: str, stack: RunningStack
) -> None:
    store = Path(stack.env["GRID8_STORE__FOLDER"])
    owner = alpha.owner.api
    before = stored(store)
    raw = await owner.post(
        f"{assets}?filename={name}", data=data, headers={"Content-Type": declared}
    )
    multipart = await owner.post(assets, data=form(("file", data, name, declared)), headers=FORM)
    for answer in (raw, multipart):
        assert (answer.status, answer.code) == (415, "asset.type_forbidden")
        assert "taken" in answer.json["detail"]
    assert stored(store) == before


async def test_an_upload_in_pieces_is_refused_at_its_end_and_gone(
    alpha: Tenant, stack: RunningStack
) -> None:
    store = Path(stack.env["GRID8_STORE__FOLDER"])
    before = stored(store)
    tus = Tus(alpha.owner.api, alpha.org)
    program = b"MZ\x90\x00" + secrets.token_bytes(2000)
    path = await tus.created(len(program), meta=metadata(filename="photo.jpg"))
    assert (await tus.patch(path, 0, program[:1000])).status == 204
    last = await tus.patch(path, 1000, program[1000:])
    assert (last.status, last.code) == (415, "asset.type_forbidden")
    assert (await tus.head(path)).status == 404
    assert stored(store) == before


async def test_a_file_that_is_two_things_is_given_out_as_one_that_cannot_run(
    alpha: Tenant, assets: str
) -> None:
    owner = alpha.owner.api
    mark = secrets.token_hex(4).encode()
    for data, media_type in (
        (b"GIF89a/*" + mark + b"*/=1;alert(1)//<script>alert(1)</script>", "image/gif"),
        (b"\xff\xd8\xff\xfe\x00\x60<html><script>alert(1)</script>" + mark, "image/jpeg"),
        (PNG[:33] + b"\x00\x00\x00\x19tEXtComment\x00<script>alert(1)" + mark, "image/png"),
        (b"%PDF-1.4 " + mark + files.zipped({"META-INF/MANIFEST.MF": "x"}), "application/pdf"),
        (b"+ADw-script+AD4-alert(1)+ADw-/script+AD4-" + mark, "text/plain"),
        (EVIL_SVG.replace(b"alert(1)", b"<![CDATA[alert(1)]]>") + mark, "image/svg+xml"),
    ):
        made = await owner.post(
            f"{assets}?filename=page.html.jpg", data=data, headers={"Content-Type": "text/html"}
        )
        assert made.status == 201, str(made)
        file = await owner.get(made.json["url"])
        assert file.headers["Content-Type"] == media_type
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        policy = file.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        if not media_type.startswith("image/") or media_type == "image/svg+xml":
            assert file.headers["Content-Disposition"].startswith("attachment")


async def test_an_svg_comes_with_one_that_is_safe_to_show(alpha: Tenant, assets: str) -> None:
    owner = alpha.owner.api
    made = await owner.post(
        f"{assets}?filename=a.png&wait=ready", data=EVIL_SVG + b"<!-- shown -->"
    )
    assert (made.status, made.json["status"]) == (201, "ready"), str(made)
    [shown] = [each for each in made.json["renditions"] if each["name"] == "safe.svg"]
    assert shown["media_type"] == "image/svg+xml"
    drawing = await owner.get(shown["url"])
    assert b"<rect" in drawing.body
    for trick in (b"script", b"alert", b"onload"):
        assert trick not in drawing.body
    original = await owner.get(made.json["url"])
    assert original.body.startswith(EVIL_SVG)
    assert original.headers["Content-Disposition"].startswith("attachment")
    assert 'filename="a.svg"' in original.headers["Content-Disposition"]


async def test_an_ad_is_found_in_the_library_by_its_kind(alpha: Tenant, assets: str) -> None:
    owner = alpha.owner.api
    ad = files.zipped({"index.html": files.AD, "mark.txt": secrets.token_hex(8)})
    made = await owner.post(f"{assets}?filename=ad.zip&wait=ready", data=ad)
    assert (made.status, made.json["status"], made.json["kind"]) == (201, "ready", "html5")
    assert (made.json["width"], made.json["height"], made.json["entries"]) == (300, 250, 2)
    found = await owner.get(f"{assets}?kind=html5")
    assert made.json["id"] in [each["id"] for each in found.json["items"]]
