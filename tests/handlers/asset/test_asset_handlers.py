"""Assets and the bytes they share: stored once, processed once, and gone with the last of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.actor import Actor
from contracts.asset.commands import DeleteAsset, ProcessAsset, RegisterAsset, UpdateAsset
from contracts.corp.events import OrganizationDeleted, ProjectDeleted
from contracts.errors import ErrorKind
from contracts.permissions import Role
from contracts.types import new_id
from handlers.asset.documents import Asset, Blob
from handlers.asset.handlers import library as library_handlers
from handlers.asset.queries import (
    AssetCursor,
    AssetFilter,
    get_asset,
    get_asset_status,
    list_assets,
)
from handlers.asset.rules import blob_key, rendition_key, taken_for
from infra.breaker import DependencyUnavailable
from tests.handlers.asset.conftest import Library

EDITOR = Actor(user="usr_eda", org="org_acme", role=Role.EDITOR)
OTHER = Actor(user="usr_otto", org="org_other", role=Role.EDITOR)


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def upload(
    library: Library,
    data: bytes = b"a picture",
    *,
    actor: Actor = EDITOR,
    kind: str = "image",
    project: str | None = None,
    name: str = "photo.png",
    folder: str | None = None,
) -> Any:
    """What the gateway does: bytes under an id of their own, then the command."""
    blob = new_id("blb")
    await library.store.write(
        blob_key(actor.tenant, blob), chunks(data), media_type="image/png", limit=1000
    )
    return await library.do(
        RegisterAsset.model_validate(
            {
                "blob_id": blob,
                "name": name,
                "media_type": "image/png",
                "kind": kind,
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "project_id": project,
                "folder_id": folder,
                "tags": ("one", "two", "one"),
            }
        ),
        actor,
    )


async def blob_of(library: Library) -> Blob:
    found = await Blob.find().to_list()
    assert len(found) == 1, f"{len(found)} blobs where one is due"
    return found[0]


async def test_an_uploaded_picture_becomes_ready_with_its_renditions(library: Library) -> None:
    made = await upload(library)
    assert (made["status"], made["tags"]) == ("processing", ["one", "two"])
    assert await library.run_sent() == ["asset.asset.process"]
    view = await get_asset(EDITOR, made["id"])
    assert view.status == "ready"
    assert (view.width, view.height, view.dominant_color) == (640, 480, "#112233")
    assert [each.name for each in view.renditions] == ["320.webp"]
    assert view.url.startswith("http://127.0.0.1/files/orgs/org_acme/blobs/")
    assert view.revision == 2
    blob = await blob_of(library)
    assert set(await library.stored()) == {
        blob_key("org_acme", blob.id),
        rendition_key("org_acme", blob.id, "320.webp"),
    }
    types = {event["type"]: event["revision"] for event in await library.events()}
    assert types == {"asset.asset.uploaded": 1, "asset.asset.ready": 2}


async def test_the_same_bytes_are_kept_and_processed_once(library: Library) -> None:
    first = await upload(library)
    await library.run_sent()
    second = await upload(library, name="copy.png")
    assert sorted(await library.run_sent()) == ["asset.asset.process", "asset.blob.sweep"]
    assert library.images.rendered == 1
    blob = await blob_of(library)
    assert blob.references == 2
    assert [key for key in await library.stored() if "/blobs/" in key] == [
        blob_key("org_acme", blob.id)
    ]
    for each in (first, second):
        assert (await get_asset(EDITOR, each["id"])).status == "ready"


async def test_the_same_bytes_uploaded_at_once_are_one_blob(library: Library) -> None:
    made = await asyncio.gather(*(upload(library, name=f"{n}.png") for n in range(8)))
    blob = await blob_of(library)
    assert blob.references == 8
    await library.run_sent()
    assert [key for key in await library.stored() if "/blobs/" in key] == [
        blob_key("org_acme", blob.id)
    ]
    for each in made:
        assert await get_asset_status(EDITOR, each["id"]) == "ready"


async def test_two_organizations_share_no_bytes(library: Library) -> None:
    mine, theirs = await upload(library), await upload(library, actor=OTHER)
    await library.run_sent()
    assert await Blob.count() == 2
    await library.do(DeleteAsset(asset=theirs["id"]), OTHER)
    await library.run_sent()
    assert (await get_asset(EDITOR, mine["id"])).status == "ready"
    assert all("org_acme" in key for key in await library.stored())
    for command in (DeleteAsset(asset=mine["id"]), UpdateAsset(asset=mine["id"], name="x")):
        assert await library.code_of(command, OTHER) == "asset.not_found"
    with pytest.raises(Exception, match="There is no such asset"):
        await get_asset(OTHER, mine["id"])
    assert (await list_assets(OTHER, AssetCursor())).items == ()


async def test_bytes_stay_while_one_of_two_assets_has_them_and_go_with_the_last(
    library: Library,
) -> None:
    first, second = await upload(library), await upload(library)
    await library.run_sent()
    before = await library.stored()
    assert len(before) == 2
    await library.do(DeleteAsset(asset=first["id"]), EDITOR)
    assert await library.run_sent() == []
    assert await library.stored() == before
    assert (await blob_of(library)).references == 1
    await library.do(DeleteAsset(asset=second["id"]), EDITOR)
    assert await library.run_sent() == ["asset.blob.sweep"]
    assert await library.stored() == []
    assert await Blob.count() == await Asset.count() == 0
    assert await library.code_of(DeleteAsset(asset=second["id"]), EDITOR) == "asset.not_found"


async def test_of_all_assets_of_some_bytes_deleted_at_once_nothing_is_left(
    library: Library,
) -> None:
    made = [await upload(library) for _ in range(6)]
    await library.run_sent()
    await asyncio.gather(*(library.do(DeleteAsset(asset=e["id"]), EDITOR) for e in made))
    await library.run_sent()
    assert await library.stored() == []
    assert await Blob.count() == await Asset.count() == 0
    assert len(await library.events("asset.asset.deleted")) == 6


async def test_bytes_uploaded_again_while_their_last_asset_goes_are_there_or_new(
    library: Library,
) -> None:
    for _ in range(5):
        made = await upload(library)
        await library.run_sent()
        again, _ = await asyncio.gather(
            upload(library), library.do(DeleteAsset(asset=made["id"]), EDITOR)
        )
        await library.run_sent()
        blob = await blob_of(library)
        assert blob.references == 1
        assert blob_key("org_acme", blob.id) in await library.stored()
        assert (await get_asset(EDITOR, again["id"])).status == "ready"
        await library.do(DeleteAsset(asset=again["id"]), EDITOR)
        await library.run_sent()
        assert await library.stored() == []


async def test_a_broken_picture_fails_with_its_reason_and_keeps_its_bytes(
    library: Library,
) -> None:
    made = await upload(library, b"broken picture")
    await library.run_sent()
    view = await get_asset(EDITOR, made["id"])
    assert view.status == "failed"
    assert view.error is not None
    assert (view.error.code, view.error.detail) == ("asset.image_corrupt", "It ends too early.")
    blob = await blob_of(library)
    assert await library.stored() == [blob_key("org_acme", blob.id)]
    (event,) = await library.events("asset.asset.failed")
    assert event["data"]["code"] == "asset.image_corrupt"
    again = await upload(library, b"broken picture")
    await library.run_sent()
    assert (await get_asset(EDITOR, again["id"])).status == "failed"
    assert library.images.rendered == 1


async def test_what_is_no_picture_is_ready_as_it_is(library: Library) -> None:
    made = await upload(library, kind="document", name="terms.pdf")
    await library.run_sent()
    view = await get_asset(EDITOR, made["id"])
    assert (view.status, view.renditions, view.width) == ("ready", (), None)
    assert library.images.rendered == 0


async def test_bytes_that_are_gone_fail_the_asset(library: Library) -> None:
    made = await upload(library)
    blob = await blob_of(library)
    await library.store.delete([blob_key("org_acme", blob.id)])
    await library.run_sent()
    view = await get_asset(EDITOR, made["id"])
    assert view.error is not None
    assert view.error.code == "asset.bytes_missing"


async def test_processing_twice_changes_nothing(library: Library) -> None:
    made = await upload(library)
    await library.run_sent()
    await library.do(ProcessAsset(asset=made["id"]), EDITOR)
    await library.do(ProcessAsset(asset="ast_unknown"), EDITOR)
    assert (await get_asset(EDITOR, made["id"])).revision == 2
    assert len(await library.events("asset.asset.ready")) == 1


async def test_an_asset_deleted_while_it_is_processed_leaves_nothing_behind(
    library: Library,
) -> None:
    made = await upload(library)
    library.images.gate.clear()
    processing = asyncio.create_task(library.run_sent())
    await library.images.begun.wait()
    await library.do(DeleteAsset(asset=made["id"]), EDITOR)
    # The bytes are swept while the picture is still being rendered.
    for message in await library.sent():
        await library.carry_out(message)
    library.images.gate.set()
    await processing
    await library.run_sent()
    assert await library.stored() == [], "renditions that belong to nothing"
    assert await Blob.count() == 0


async def test_an_asset_renamed_while_it_is_processed_keeps_both(library: Library) -> None:
    made = await upload(library)
    library.images.gate.clear()
    processing = asyncio.create_task(library.run_sent())
    await library.images.begun.wait()
    await library.do(UpdateAsset(asset=made["id"], name="renamed.png"), EDITOR)
    library.images.gate.set()
    await processing
    view = await get_asset(EDITOR, made["id"])
    assert (view.name, view.status, view.revision) == ("renamed.png", "ready", 3)


async def test_a_store_that_is_away_is_waited_for(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await upload(library)
    real, tries = library.store.fetch, []

    async def away(key: str, path: Any) -> None:
        tries.append(key)
        if len(tries) <= 7:
            raise DependencyUnavailable("store", 0.01)
        await real(key, path)

    monkeypatch.setattr(library.store, "fetch", away)
    await library.run_sent()
    assert (await get_asset(EDITOR, made["id"])).status == "ready"
    assert await library.dead() == []


async def test_an_update_changes_what_it_names(library: Library) -> None:
    made = await upload(library, project="prj_1")
    await library.run_sent()

    async def updated(**fields: Any) -> tuple[str, tuple[str, ...], str | None]:
        await library.do(UpdateAsset(asset=made["id"], **fields), EDITOR)
        view = await get_asset(EDITOR, made["id"])
        return view.name, view.tags, view.project_id

    assert await updated(name="new.png") == ("new.png", ("one", "two"), "prj_1")
    assert await updated(tags=("three",)) == ("new.png", ("three",), "prj_1")
    assert await updated(project_id=None) == ("new.png", ("three",), None)
    assert await updated(tags=()) == ("new.png", (), None)
    wrong = UpdateAsset(asset=made["id"], name="x", if_revision=1)
    assert await library.code_of(wrong, EDITOR) == "revision_mismatch"


async def test_the_assets_of_a_project_that_went_stay_without_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_handlers, "AT_ONCE", 3)
    for number in range(7):
        await upload(library, f"picture {number}".encode(), project="prj_gone")
    kept = await upload(library, b"kept", project="prj_other")
    await library.run_sent()
    await library.react(ProjectDeleted(project_id="prj_gone", brand_id="brd_1"), org="org_acme")
    assert await library.run_sent() == ["asset.project.detach"] * 3
    assert await Asset.find({"project_id": "prj_gone"}).count() == 0
    assert await Asset.count() == 8
    assert (await get_asset(EDITOR, kept["id"])).project_id == "prj_other"
    events = await library.events("asset.asset.updated")
    assert len(events) == 7
    assert {event["org"] for event in events} == {"org_acme"}


async def test_nothing_is_left_of_an_organization_that_went(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_handlers, "AT_ONCE", 3)
    for number in range(5):
        await upload(library, f"picture {number % 3}".encode())
    theirs = await upload(library, actor=OTHER)
    await library.run_sent()
    await library.react(OrganizationDeleted(organization_id="org_acme"), org="org_acme")
    await library.run_sent()
    assert await Asset.find({"organization_id": "org_acme"}).count() == 0
    assert await Blob.find({"organization_id": "org_acme"}).count() == 0
    assert all("org_other" in key for key in await library.stored())
    assert (await get_asset(OTHER, theirs["id"])).status == "ready"
    assert len(await library.events("asset.asset.deleted")) == 5


async def test_a_list_is_narrowed_by_what_is_asked_for(library: Library) -> None:
    picture = await upload(library, b"one", project="prj_1")
    await upload(library, b"two", kind="document")
    await upload(library, b"broken")
    await library.run_sent()

    async def found(**wanted: Any) -> int:
        return len((await list_assets(EDITOR, AssetCursor(), AssetFilter(**wanted))).items)

    assert await found() == 3
    assert await found(kind="document") == 1
    assert await found(status="failed") == 1
    assert await found(project_id="prj_1") == 1
    assert await found(tag="two") == 3
    assert await found(tag="none") == 0
    assert await found(sha256=picture["sha256"]) == 1


@pytest.mark.parametrize(
    ("found", "declared", "name", "kind"),
    [
        ("image", "text/plain", "a.txt", "image"),
        ("other", "image/png", "a", "image"),
        ("other", "", "A.JPEG", "image"),
        ("other", "application/zip", "a.zip", "other"),
        ("video", "image/png", "a.png", "video"),
    ],
)
def test_bytes_decide_unless_they_say_nothing(
    found: Any, declared: str, name: str, kind: str
) -> None:
    assert taken_for(found, declared, name) == kind


def test_an_asset_that_is_not_there_is_not_found() -> None:
    from contracts.asset.errors import AssetNotFound

    assert AssetNotFound.kind is ErrorKind.NOT_FOUND
