"""What is taken, under which name it is given out, and what looking into it changes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.actor import Actor
from contracts.asset.commands import RegisterAsset
from contracts.asset.errors import TypeForbidden
from contracts.permissions import Role
from contracts.types import new_id
from handlers.asset.kinds import admit, served_name
from handlers.asset.queries import AssetCursor, AssetFilter, get_asset, list_assets
from handlers.asset.rules import blob_key
from infra.settings import AssetSettings
from tests.handlers.asset.conftest import Library
from tests.infra import files

EDITOR = Actor(user="usr_eda", org="org_acme", role=Role.EDITOR)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"MZ\x90\x00", "a Windows program"),
        (b"<html>", "an HTML page"),
        (b"#!/bin/sh", "a script"),
        (files.zipped({"META-INF/MANIFEST.MF": "x"}), "a Java archive"),
    ],
)
def test_what_would_run_is_refused_in_words(data: bytes, said: str) -> None:
    with pytest.raises(TypeForbidden) as refusal:
        admit(data, "photo.jpg")
    assert said in refusal.value.detail
    assert "Images" in refusal.value.detail


@pytest.mark.parametrize("forbidden", ["image", "image/png", "image/*", "IMAGE/PNG"])
def test_more_may_be_forbidden(forbidden: str) -> None:
    assert admit(PNG, "a.png").media_type == "image/png"
    assert admit(files.pdf(), "a.pdf", forbidden=[forbidden]).kind == "document"
    with pytest.raises(TypeForbidden, match="image/png"):
        admit(PNG, "a.pdf", forbidden=[forbidden])


def test_what_is_forbidden_is_said_in_the_settings() -> None:
    read = AssetSettings.model_validate({"forbidden": "archive, video/*,audio/mpeg"})
    assert read.forbidden == ["archive", "video/*", "audio/mpeg"]
    with pytest.raises(ValueError, match="forbidden"):
        AssetSettings.model_validate({"forbidden": "pictures"})


def test_unknown_bytes_are_taken_as_such() -> None:
    found = admit(bytes(range(256)), "a.blend")
    assert (found.kind, found.media_type) == ("other", "application/octet-stream")


@pytest.mark.parametrize(
    ("name", "media_type", "given_out"),
    [
        ("a.jpg", "image/jpeg", "a.jpg"),
        ("a.JPEG", "image/jpeg", "a.JPEG"),
        ("a.png", "image/jpeg", "a.jpg"),
        ("a.exe", "image/jpeg", "a.exe.jpg"),
        ("invoice.pdf", "image/svg+xml", "invoice.svg"),
        ("v1.2 final", "image/png", "v1.2 final.png"),
        ("untitled", "video/mp4", "untitled.mp4"),
        ("a.m4v", "video/mp4", "a.m4v"),
        ("logo.ai", "application/pdf", "logo.ai"),
        ("notes.srt", "text/plain", "notes.srt"),
        ("README", "text/plain", "README"),
        ("a.jpg", "text/plain", "a.txt"),
        ("a.html", "text/plain", "a.html.txt"),
        ("a.html", "text/csv", "a.html.csv"),
        ("draft.sketch", "application/zip", "draft.sketch"),
        ("draft.jar", "application/zip", "draft.jar.zip"),
        ("a.pdf", "application/zip", "a.zip"),
        ("scene.blend", "application/octet-stream", "scene.blend"),
        ("broken.jpg", "application/octet-stream", "broken.jpg"),
        ("a.exe", "application/octet-stream", "a.exe.bin"),
        ("a.hta", "application/octet-stream", "a.hta.bin"),
        ("a.x", "application/x-newer-than-this", "a.x"),
    ],
)
def test_a_name_is_given_out_with_an_extension_that_tells_the_truth(
    name: str, media_type: str, given_out: str
) -> None:
    assert served_name(name, media_type) == given_out


async def uploaded(library: Library, data: bytes, name: str = "a.bin") -> Any:
    """What the gateway does, and everything that follows from it."""

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    blob, found = new_id("blb"), admit(data, name)
    await library.store.write(
        blob_key("org_acme", blob), chunks(), media_type=found.media_type, limit=10_000_000
    )
    made = await library.do(
        RegisterAsset(
            blob_id=blob,
            name=name,
            media_type=found.media_type,
            kind=found.kind,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        ),
        EDITOR,
    )
    await library.run_sent()
    return await get_asset(EDITOR, made["id"])


async def test_an_archive_that_is_an_ad_becomes_one(library: Library) -> None:
    data = files.zipped({"index.html": files.AD, "ad.js": "x"})
    view = await uploaded(library, data)
    assert (view.kind, view.media_type, view.status) == ("html5", "application/zip", "ready")
    assert (view.width, view.height, view.entries) == (300, 250, 2)
    assert view.unpacked_bytes == len(files.AD) + 1
    ads = await list_assets(EDITOR, AssetCursor(), AssetFilter(kind=("html5",)))
    assert [each.id for each in ads.items] == [view.id]
    ready = next(e for e in await library.events() if e["type"] == "asset.asset.ready")
    assert (ready["data"]["kind"], ready["data"]["width"]) == ("html5", 300)
    again = await uploaded(library, data, "again.zip")
    assert (again.kind, again.width, again.status) == ("html5", 300, "ready")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (files.zipped({f"{n}": bytes(9_000_000) for n in range(9)}), "asset.archive_bomb"),
        (files.zipped({"../a": "x"}), "asset.archive_unsafe"),
        (files.zipped({"a": "x"})[:-9], "asset.archive_corrupt"),
    ],
)
async def test_a_bomb_fails_with_its_reason_and_is_kept(
    data: bytes, code: str, library: Library
) -> None:
    view = await uploaded(library, data)
    assert (view.status, view.kind) == ("failed", "archive")
    assert view.error is not None
    assert view.error.code == code
    assert len(await library.stored()) == 1


async def test_facts_of_other_kinds_are_shown(library: Library) -> None:
    document = await uploaded(library, files.pdf(2), "a.pdf")
    assert (document.status, document.pages, document.width) == ("ready", 2, 200)
    font = await uploaded(library, files.font(), "a.ttf")
    assert (font.font_family, font.font_style) == (files.FAMILY, files.STYLE)
    film = await uploaded(library, files.mp4(64, 36, 1500), "a.mp4")
    assert (film.kind, film.duration, film.width, film.height) == ("video", 1.5, 64, 36)
    picture = await uploaded(library, b"8BPS\x00\x01" + bytes(8) + b"\x00\x00\x00\x09" * 2, "a.psd")
    assert (picture.kind, picture.status, picture.width) == ("image", "ready", 9)
    broken = await uploaded(library, b"%PDF-1.7 broken", "b.pdf")
    assert (broken.status, broken.pages) == ("ready", None)


async def test_bytes_that_are_gone_are_missing(library: Library) -> None:
    made = await library.do(
        RegisterAsset(
            blob_id=new_id("blb"),
            name="a.pdf",
            media_type="application/pdf",
            kind="document",
            bytes=9,
            sha256="0" * 64,
        ),
        EDITOR,
    )
    await library.run_sent()
    view = await get_asset(EDITOR, made["id"])
    assert view.error is not None
    assert view.error.code == "asset.bytes_missing"
