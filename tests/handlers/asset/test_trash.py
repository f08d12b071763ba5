"""The trash: what is deleted is out of sight, comes back as it was, or goes when its days are over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bus.paging import Cursor
from contracts.asset.commands import (
    DeleteAsset,
    EmptyTrash,
    PurgeAsset,
    PurgeDue,
    RestoreAsset,
    UpdateAsset,
)
from contracts.asset.errors import AssetNotFound
from contracts.corp.events import OrganizationDeleted, ProjectDeleted
from contracts.types import now
from handlers.asset.clocks import clocks_of
from handlers.asset.documents import Asset, Blob
from handlers.asset.handlers import trash as trash_handlers
from handlers.asset.queries import (
    AssetCursor,
    AssetFilter,
    find_project_of_asset,
    get_asset,
    get_asset_count,
    get_asset_rights,
    get_asset_status,
    get_version,
    list_asset_usage,
    list_assets,
    list_trash,
    list_versions,
)
from infra.settings.assets import LibrarySettings
from tests.handlers.asset.conftest import Library
from tests.handlers.asset.versioned import EDITOR, OTHER, check_references, upload


async def deleted(library: Library, data: bytes = b"a picture", **more: str) -> str:
    made = await upload(library, data, **more)  # type: ignore[arg-type]
    await library.run_sent()
    await library.do(DeleteAsset(asset=made["id"]), EDITOR)
    id: str = made["id"]
    return id


async def in_trash() -> list[str]:
    return [each.asset.id for each in (await list_trash(EDITOR, Cursor())).items]


async def later(asset: str) -> None:
    """The asset's days in the trash are over."""
    await Asset.get_pymongo_collection().update_one(
        {"_id": asset}, {"$set": {"purge_at": now() - timedelta(milliseconds=1)}}
    )


async def test_what_is_deleted_is_nowhere_but_in_the_trash(library: Library) -> None:
    asset = await deleted(library, project="prj_1")
    for read in (
        get_asset(EDITOR, asset),
        get_asset_status(EDITOR, asset),
        get_asset_rights(EDITOR, asset),
        get_version(EDITOR, asset, "1"),
        list_versions(EDITOR, Cursor(), asset),
        list_asset_usage(EDITOR, Cursor(), asset),
    ):
        with pytest.raises(AssetNotFound):
            await read
    assert (await list_assets(EDITOR, AssetCursor())).items == ()
    assert (await list_assets(EDITOR, AssetCursor(), AssetFilter(project_id="prj_1"))).items == ()
    assert await get_asset_count(EDITOR) == 0
    for command in (DeleteAsset(asset=asset), UpdateAsset(asset=asset, name="x")):
        assert await library.code_of(command, EDITOR) == "asset.not_found"
    (trashed,) = (await list_trash(EDITOR, Cursor())).items
    assert (trashed.asset.id, trashed.deleted_by) == (asset, EDITOR.user)
    assert trashed.purge_at - trashed.deleted_at == timedelta(days=30)
    assert (await list_trash(OTHER, Cursor())).items == ()
    assert await find_project_of_asset(EDITOR, asset) == "prj_1", (
        "who may restore it is decided there"
    )
    assert len(await library.events("asset.asset.deleted")) == 1
    assert await library.events("asset.asset.purged") == []
    assert len(await library.stored()) == 2, "the bytes are kept"


async def test_what_is_restored_is_as_it_was(library: Library) -> None:
    made = await upload(library, project="prj_1")
    await library.run_sent()
    before = await get_asset(EDITOR, made["id"])
    await library.do(DeleteAsset(asset=before.id), EDITOR)
    assert await library.code_of(RestoreAsset(asset=before.id), OTHER) == "asset.not_found"
    wrong = RestoreAsset(asset=before.id, if_revision=before.revision)
    assert await library.code_of(wrong, EDITOR) == "revision_mismatch"
    view = await library.do(RestoreAsset(asset=before.id), EDITOR)
    after = await get_asset(EDITOR, before.id)
    assert view["revision"] == after.revision == before.revision + 2
    signed = {"url", "download_url", "safe_url", "renditions", "revision", "updated_at"}
    assert after.model_dump(exclude=signed) == before.model_dump(exclude=signed)
    assert [each.name for each in after.renditions] == [each.name for each in before.renditions]
    assert await in_trash() == []
    assert await library.code_of(RestoreAsset(asset=before.id), EDITOR) == "asset.not_found"
    (event,) = await library.events("asset.asset.restored")
    assert (event["subject"], event["revision"]) == (before.id, after.revision)


async def test_what_is_restored_is_in_no_project_that_went_meanwhile(library: Library) -> None:
    asset = await deleted(library, project="prj_gone")
    await library.react(ProjectDeleted(project_id="prj_gone", brand_id="brd_1"), org="org_acme")
    await library.run_sent()
    assert await library.events("asset.asset.updated") == [], "nobody is told of what is not there"
    view = await library.do(RestoreAsset(asset=asset), EDITOR)
    assert view["project_id"] is None


async def test_what_is_purged_is_gone_with_its_bytes(library: Library) -> None:
    asset, kept = await deleted(library), await upload(library, b"kept")
    await library.run_sent()
    for wrong in (PurgeAsset(asset=kept["id"]), PurgeAsset(asset="ast_unknown")):
        assert await library.code_of(wrong, EDITOR) == "asset.not_found"
    assert await library.code_of(PurgeAsset(asset=asset), OTHER) == "asset.not_found"
    await library.do(PurgeAsset(asset=asset), EDITOR)
    await library.run_sent()
    assert await in_trash() == []
    await check_references(library)
    assert await library.code_of(RestoreAsset(asset=asset), EDITOR) == "asset.not_found"
    assert len(await library.events("asset.asset.deleted")) == 1, "it is told once"
    assert len(await library.events("asset.asset.purged")) == 1


async def test_bytes_in_the_trash_are_shared_with_a_new_upload(library: Library) -> None:
    asset = await deleted(library)
    again = await upload(library)
    await library.run_sent()
    assert library.images.rendered == 1
    await library.do(PurgeAsset(asset=asset), EDITOR)
    await library.run_sent()
    assert (await get_asset(EDITOR, again["id"])).status == "ready"
    await check_references(library)


async def test_emptying_takes_what_was_in_the_trash_and_no_more(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash_handlers, "AT_ONCE", 2)
    for number in range(5):
        await deleted(library, f"picture {number % 3}".encode())
    theirs = await upload(library, actor=OTHER)
    await library.run_sent()
    await library.do(DeleteAsset(asset=theirs["id"]), OTHER)
    await library.do(EmptyTrash(), EDITOR)
    types = await library.run_sent()
    assert types.count("asset.trash.purge") == 3
    assert await in_trash() == []
    assert await Asset.count() == 1, "another organization's"
    await check_references(library)


async def test_what_is_thrown_away_while_the_trash_is_emptied_stays_in_it(
    library: Library,
) -> None:
    await deleted(library)
    kept = await upload(library, b"thrown away later")
    await library.run_sent()
    await library.do(EmptyTrash(), EDITOR)
    emptying = await library.sent()
    await Asset.get_pymongo_collection().update_one(
        {"_id": kept["id"]},
        {"$set": {"trashed_at": now() + timedelta(seconds=5), "purge_at": now()}},
    )
    for message in emptying:
        await library.carry_out(message)
    assert await in_trash() == [kept["id"]]


async def test_a_clock_removes_what_has_been_in_the_trash_for_its_days(library: Library) -> None:
    over, not_yet = await deleted(library, b"over"), await deleted(library, b"not yet")
    restored = await deleted(library, b"restored")
    await later(over)
    await later(restored)
    clock = next(each for each in clocks_of(LibrarySettings()) if each.name == "asset.trash")
    found = list(await clock.due())
    assert {each.asset for each in found if isinstance(each, PurgeDue)} == {over, restored}
    await library.do(RestoreAsset(asset=restored), EDITOR)
    for command in [*found, *found, PurgeDue(asset=not_yet)]:
        await library.do(command)
    await library.run_sent()
    assert await in_trash() == [not_yet]
    assert (await get_asset(EDITOR, restored)).status == "ready"
    (event,) = await library.events("asset.asset.purged")
    assert (event["subject"], event["org"]) == (over, EDITOR.org)
    await check_references(library)
    assert await clock.due() == []


async def test_an_organization_that_went_takes_its_trash_along(library: Library) -> None:
    await deleted(library)
    await upload(library, b"in the library")
    await library.run_sent()
    await library.react(OrganizationDeleted(organization_id="org_acme"), org="org_acme")
    await library.run_sent()
    assert await Asset.count() == await Blob.count() == 0
    assert await library.stored() == []
    assert len(await library.events("asset.asset.deleted")) == 2, "each once"
    assert len(await library.events("asset.asset.purged")) == 2
