"""Uploads in pieces that nobody completes: after a while nothing is left of them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from contracts.asset.commands import SweepUpload
from handlers.asset.documents import Blob
from handlers.asset.rules import blob_key
from infra.staged_uploads import Note, blob_of
from tests.handlers.asset.conftest import Library

ORG = "org_sweeps"
LONG_AGO = 10 * 86400


async def begin(library: Library, id: str, *, data: bytes = b"half of it", **noted: Any) -> None:
    note = Note(
        length=100,
        metadata="",
        filename="",
        declared="",
        project_id=None,
        tags="",
        command="cmd_1",
        **noted,
    )
    staging = library.store.staging()
    key = blob_key(ORG, blob_of(id))
    await staging.create(ORG, id, key, note.model_dump(mode="json"), limit=100)
    assert await library.uploads.uploads.admit(ORG, id)
    async with staging.append(ORG, id, media_type=lambda _: "", seen=lambda _: None) as into:
        await into.add(data)


def folder(library: Library) -> Path:
    path = library.store.local_path("x")
    assert path is not None
    return path.parent


def left(library: Library) -> set[str]:
    return {path.name for path in folder(library).rglob("*") if path.is_file()}


def age(library: Library, seconds: float) -> None:
    """Make everything that is stored as old as this."""
    for path in folder(library).rglob("*"):
        if path.is_file():
            os.utime(path, (0, time.time() - seconds))


async def sweep(library: Library, id: str) -> None:
    await library.do(SweepUpload(organization_id=ORG, upload_id=id))


async def test_an_upload_that_has_expired_is_removed(library: Library) -> None:
    await begin(library, "upl_old")
    assert await library.uploads.due() == []
    age(library, 61)
    due = await library.uploads.due()
    assert due == [SweepUpload(organization_id=ORG, upload_id="upl_old")]
    await sweep(library, "upl_old")
    assert left(library) == set()
    assert await library.uploads.due() == []
    await sweep(library, "upl_old")


async def test_an_upload_that_goes_on_stays(library: Library) -> None:
    await begin(library, "upl_slow")
    age(library, 61)
    async with library.store.staging().append(
        ORG, "upl_slow", media_type=lambda _: "", seen=lambda _: None
    ) as into:
        await into.add(b"more")
    assert len(await library.uploads.due()) == 1
    await sweep(library, "upl_slow")
    assert left(library) == {"upl_slow.bytes", "upl_slow.info"}


async def test_an_upload_that_is_being_written_to_stays(library: Library) -> None:
    await begin(library, "upl_now")
    age(library, 61)
    async with library.uploads.uploads.locked(ORG, "upl_now"):
        await sweep(library, "upl_now")
    assert left(library) == {"upl_now.bytes", "upl_now.info"}


async def test_bytes_that_were_complete_and_refused_are_removed_too(library: Library) -> None:
    await begin(library, "upl_refused")
    await library.store.staging().complete(ORG, "upl_refused", media_type=lambda _: "")
    age(library, 61)
    await sweep(library, "upl_refused")
    assert left(library) == set()


async def test_bytes_of_an_asset_stay(library: Library) -> None:
    await begin(library, "upl_done")
    await library.store.staging().complete(ORG, "upl_done", media_type=lambda _: "")
    await Blob(
        id=blob_of("upl_done"),
        organization_id=ORG,
        sha256="0" * 64,
        bytes=10,
        media_type="text/plain",
    ).insert()
    age(library, LONG_AGO)
    await sweep(library, "upl_done")
    assert left(library) == {blob_of("upl_done")}


async def test_an_asset_that_may_yet_be_made_is_waited_for(library: Library) -> None:
    await begin(library, "upl_sent", registering={"blob_id": "x"})
    await library.store.staging().complete(ORG, "upl_sent", media_type=lambda _: "")
    age(library, 3600)
    await sweep(library, "upl_sent")
    assert left(library) == {blob_of("upl_sent"), "upl_sent.info"}
    age(library, LONG_AGO)
    await sweep(library, "upl_sent")
    assert left(library) == set()
