"""Versions: the newest that is ready is shown, the others are kept, and nothing shown is lost."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import Any

import pytest

from bus.paging import Cursor
from contracts.asset.commands import (
    DeleteAsset,
    ProcessAsset,
    PurgeAsset,
    RemoveVersion,
    RestoreVersion,
)
from contracts.asset.errors import AssetNotFound, VersionNotFound
from contracts.corp.events import OrganizationDeleted
from handlers.asset.documents import Asset, AssetVersion, Blob
from handlers.asset.queries import get_asset, get_version, list_versions
from infra.settings.assets import LibrarySettings
from tests.bus.desk import Refused
from tests.handlers.asset.conftest import Library
from tests.handlers.asset.test_rebuilding import NEXT, feed, of_pipeline
from tests.handlers.asset.versioned import (
    EDITOR,
    OTHER,
    add_version,
    check_references,
    numbers,
    upload,
    versions_of,
)


@pytest.fixture
def settings() -> LibrarySettings:
    return LibrarySettings(versions=30)


async def ready(library: Library, data: bytes = b"first") -> str:
    made = await upload(library, data, project="prj_1")
    await library.run_sent()
    id: str = made["id"]
    return id


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_a_newer_version_is_shown_once_it_is_ready(library: Library) -> None:
    asset = await ready(library)
    before = await get_asset(EDITOR, asset)
    made = await add_version(library, asset, b"second")
    assert (made["number"], made["status"], made["current"]) == (2, "processing", False)
    assert made["created_by"] == EDITOR.user
    meanwhile = await get_asset(EDITOR, asset)
    assert (meanwhile.sha256, meanwhile.status) == (sha(b"first"), "ready")
    assert meanwhile.renditions, "what was shown is shown"
    assert (meanwhile.versions, meanwhile.version) == (2, 1)
    assert await library.run_sent() == ["asset.asset.process"]
    after = await get_asset(EDITOR, asset)
    assert (after.sha256, after.status, after.version) == (sha(b"second"), "ready", 2)
    assert (after.id, after.name, after.tags, after.project_id, after.created_at) == (
        before.id,
        before.name,
        before.tags,
        before.project_id,
        before.created_at,
    )
    former, shown = await versions_of(asset)
    assert (former.number, former.current, former.sha256) == (1, False, sha(b"first"))
    assert (former.url.partition("?")[0], len(former.renditions)) == (
        before.url.partition("?")[0],
        1,
    )
    assert (shown.number, shown.current, shown.url) == (2, True, after.url)
    assert former.created_at == before.created_at < shown.created_at
    events = sorted(await library.events(), key=lambda event: event["logged"])
    assert [each["type"] for each in events] == [
        "asset.asset.uploaded",
        "asset.asset.ready",
        "asset.version.added",
        "asset.version.ready",
        "asset.asset.ready",
    ]
    assert events[-1]["data"]["version"] == 2
    await check_references(library)


async def test_a_version_that_fails_takes_nothing_away(library: Library) -> None:
    asset = await ready(library)
    before = await get_asset(EDITOR, asset)
    await add_version(library, asset, b"broken second")
    await library.run_sent()
    after = await get_asset(EDITOR, asset)
    assert (after.sha256, after.status, after.version) == (before.sha256, "ready", 1)
    failed = await get_version(EDITOR, asset, "2")
    assert (failed.status, failed.current) == ("failed", False)
    assert failed.error is not None
    assert failed.error.code == "asset.image_corrupt"
    (event,) = await library.events("asset.version.failed")
    assert (event["data"]["number"], event["org"]) == (2, EDITOR.org)
    assert await library.events("asset.asset.failed") == []
    refused = RestoreVersion(asset=asset, version=2)
    assert await library.code_of(refused, EDITOR) == "asset.version_not_ready"
    await add_version(library, asset, b"third")
    await library.run_sent()
    assert (await get_asset(EDITOR, asset)).version == 3
    await check_references(library)


async def test_a_failed_asset_is_mended_by_a_version_of_any_kind(library: Library) -> None:
    made = await upload(library, b"broken")
    await library.run_sent()
    await add_version(library, made["id"], b"terms", kind="document")
    await library.run_sent()
    view = await get_asset(EDITOR, made["id"])
    assert (view.status, view.kind, view.error) == ("ready", "document", None)


async def test_an_earlier_version_is_restored_under_a_new_number(library: Library) -> None:
    asset = await ready(library)
    await add_version(library, asset, b"second")
    await library.run_sent()
    restored = await library.do(RestoreVersion(asset=asset, version=1), EDITOR)
    assert (restored["number"], restored["current"], restored["status"]) == (3, True, "ready")
    assert await library.run_sent() == [], "nothing is rendered again"
    view = await get_asset(EDITOR, asset)
    assert (view.sha256, view.versions, view.version) == (sha(b"first"), 3, 3)
    assert view.renditions
    assert await numbers(asset) == [1, 2, 3]
    (event,) = await library.events("asset.version.restored")
    assert (event["data"]["number"], event["data"]["restored"]) == (3, 1)
    blob = await Blob.find_one({"sha256": sha(b"first")})
    assert blob is not None
    assert blob.references == 2
    await check_references(library)
    for version, code in (
        (3, "asset.version_current"),
        (1, "asset.version_unchanged"),
        (4, "asset.version_not_found"),
    ):
        assert await library.code_of(RestoreVersion(asset=asset, version=version), EDITOR) == code


async def test_a_version_that_was_restored_meanwhile_is_not_overtaken(library: Library) -> None:
    asset = await ready(library)
    await add_version(library, asset, b"second")
    await library.run_sent()
    await add_version(library, asset, b"third")
    await library.do(RestoreVersion(asset=asset, version=1), EDITOR)
    await library.run_sent()
    view = await get_asset(EDITOR, asset)
    assert (view.version, view.sha256) == (4, sha(b"first")), "the last word counts"
    assert (await get_version(EDITOR, asset, "3")).status == "ready"
    told = [event["data"] for event in await library.events("asset.version.ready")]
    assert [(each["number"], each["current"]) for each in told] == [(2, True), (3, False)]


async def test_a_version_is_removed_with_the_bytes_nobody_else_has(library: Library) -> None:
    asset = await ready(library)
    await add_version(library, asset, b"second")
    await add_version(library, asset, b"third")
    await library.run_sent()
    await upload(library, b"second")
    await library.run_sent()
    current = RemoveVersion(asset=asset, version=3)
    assert await library.code_of(current, EDITOR) == "asset.version_current"
    for version in (1, 2):
        await library.do(RemoveVersion(asset=asset, version=version), EDITOR)
    await library.run_sent()
    assert await numbers(asset) == [3]
    assert {blob.sha256 for blob in await Blob.find().to_list()} == {sha(b"second"), sha(b"third")}
    await check_references(library)
    gone = RemoveVersion(asset=asset, version=1)
    assert await library.code_of(gone, EDITOR) == "asset.version_not_found"
    with pytest.raises(VersionNotFound):
        await get_version(EDITOR, asset, "1")
    await add_version(library, asset, b"fourth")
    assert await numbers(asset) == [3, 4], "no number is given twice"


async def test_a_version_removed_while_it_is_processed_leaves_nothing(library: Library) -> None:
    asset = await ready(library)
    await add_version(library, asset, b"second")
    library.images.begun.clear()
    library.images.gate.clear()
    processing = asyncio.create_task(library.run_sent())
    await library.images.begun.wait()
    await library.do(RemoveVersion(asset=asset, version=2), EDITOR)
    for message in await library.sent():
        await library.carry_out(message)
    library.images.gate.set()
    await processing
    await library.run_sent()
    assert (await get_asset(EDITOR, asset)).version == 1
    await check_references(library)
    assert len(await library.stored()) == 2


async def test_what_would_be_no_newer_version_is_refused(library: Library) -> None:
    asset = await ready(library)
    for data, more, code in (
        (b"first", {}, "asset.version_unchanged"),
        (b"other", {"kind": "document"}, "asset.version_kind_differs"),
        (b"other", {"if_revision": 1}, "revision_mismatch"),
        (b"other", {"actor": OTHER}, "asset.not_found"),
    ):
        with pytest.raises(Refused) as refused:
            await add_version(library, asset, data, **more)  # type: ignore[arg-type]
        assert refused.value.code == code
    await add_version(library, asset, b"second", if_revision=2)
    with pytest.raises(Refused, match="processing"):
        await add_version(library, asset, b"second")
    await library.run_sent()
    await add_version(library, asset, b"first")
    assert await numbers(asset) == [1, 2, 3], "only the newest is compared"


async def test_another_tenant_sees_and_changes_no_version(library: Library) -> None:
    asset = await ready(library)
    await add_version(library, asset, b"second")
    await library.run_sent()
    for command in (RestoreVersion(asset=asset, version=1), RemoveVersion(asset=asset, version=1)):
        assert await library.code_of(command, OTHER) == "asset.not_found"
    with pytest.raises(AssetNotFound):
        await list_versions(OTHER, Cursor(), asset)
    with pytest.raises(AssetNotFound):
        await get_version(OTHER, asset, "1")
    for text in ("0", "-1", "1.0", "x", "01", "9999999", "²", ""):
        with pytest.raises(VersionNotFound):
            await get_version(EDITOR, asset, text)


async def test_versions_uploaded_at_once_have_a_number_each_and_the_last_is_shown(
    library: Library,
) -> None:
    asset = await ready(library)
    made = await asyncio.gather(
        *(add_version(library, asset, f"version {n}".encode()) for n in range(20))
    )
    assert sorted(each["number"] for each in made) == list(range(2, 22))
    assert await numbers(asset) == list(range(1, 22))
    messages = await library.sent()
    random.Random(5).shuffle(messages)
    await asyncio.gather(*(library.carry_out(message) for message in messages))
    await library.run_sent()
    view = await get_asset(EDITOR, asset)
    assert (view.version, view.versions, view.status) == (21, 21, "ready")
    assert [each.number for each in await versions_of(asset) if each.current] == [21]
    assert {each.status for each in await versions_of(asset)} == {"ready"}
    await check_references(library)


async def test_a_first_version_that_takes_longer_than_the_second_is_finished_too(
    library: Library,
) -> None:
    made = await upload(library, b"first")
    (first,) = await library.sent()
    await add_version(library, made["id"], b"second")
    await library.run_sent()
    assert [each.status for each in await versions_of(made["id"])] == ["processing", "ready"]
    await library.carry_out(first)
    assert [each.status for each in await versions_of(made["id"])] == ["ready", "ready"]
    assert (await get_asset(EDITOR, made["id"])).sha256 == sha(b"second")
    await library.do(ProcessAsset(asset=made["id"]), EDITOR)
    assert len(await library.events("asset.version.ready")) == 2


async def test_an_asset_of_before_there_were_versions_takes_some(library: Library) -> None:
    asset = await ready(library)
    fields = ("number", "last_number", "versions", "shown_by", "uses")
    await Asset.get_pymongo_collection().update_one(
        {"_id": asset}, {"$unset": dict.fromkeys(fields, "")}
    )
    (only,) = await versions_of(asset)
    assert (only.number, only.current, only.created_by) == (1, True, None)
    await add_version(library, asset, b"second")
    await library.run_sent()
    assert await numbers(asset) == [1, 2]
    await library.do(RestoreVersion(asset=asset, version=1), EDITOR)
    assert (await get_asset(EDITOR, asset)).sha256 == sha(b"first")
    await check_references(library)


async def test_all_versions_go_with_their_asset(library: Library) -> None:
    asset = await ready(library)
    await add_version(library, asset, b"second")
    await add_version(library, asset, b"broken third")
    await library.run_sent()
    await library.do(RestoreVersion(asset=asset, version=1), EDITOR)
    await add_version(library, asset, b"pending")
    await library.do(DeleteAsset(asset=asset), EDITOR)
    await library.do(PurgeAsset(asset=asset), EDITOR)
    await library.run_sent()
    assert await library.stored() == []
    assert await Blob.count() == await Asset.count() == await AssetVersion.count() == 0


async def test_nothing_is_left_of_the_versions_of_an_organization_that_went(
    library: Library,
) -> None:
    for asset in [await ready(library), await ready(library, b"another")]:
        await add_version(library, asset, b"second")
        await library.run_sent()
    await library.react(OrganizationDeleted(organization_id="org_acme"), org="org_acme")
    await library.run_sent()
    assert await library.stored() == []
    assert await Blob.count() == await Asset.count() == await AssetVersion.count() == 0


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
async def test_pages_of_versions_have_each_once_in_order(library: Library, sort: str) -> None:
    asset = await ready(library)
    for data in (b"2", b"3", b"broken 4", b"broken 5"):
        await add_version(library, asset, data)
        await library.run_sent()
    assert (await get_asset(EDITOR, asset)).version == 3
    for limit in (1, 2, 3, 5):
        found: list[int] = []
        cursor = None
        while True:
            page = await list_versions(
                EDITOR,
                Cursor(limit=limit, cursor=cursor, sort=sort),  # type: ignore[arg-type]
                asset,
            )
            found += [each.number for each in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == ([1, 2, 3, 4, 5] if sort == "created_at" else [5, 4, 3, 2, 1])


async def test_a_version_has_the_renditions_of_its_bytes_also_when_they_were_made_anew(
    library: Library,
) -> None:
    asset = await ready(library)
    await add_version(library, asset, b"second")
    await library.run_sent()
    await upload(library, b"first")
    await library.run_sent()
    changed = of_pipeline(library, NEXT)
    await feed(library, changed)
    for command in await changed.due():
        await library.do(command)
    await library.run_sent()
    renditions = [key for key in await library.stored() if "/renditions/" in key]
    assert len(renditions) == 2
    for version in await versions_of(asset):
        assert any(key in version.renditions[0].url for key in renditions), version.number
    await library.do(RestoreVersion(asset=asset, version=1), EDITOR)
    shown = await get_asset(EDITOR, asset)
    assert any(key in shown.renditions[0].url for key in renditions)


async def test_a_replay_has_the_renditions_of_every_version_made_anew(library: Library) -> None:
    asset = await ready(library)
    for data in (b"second", b"third"):
        await add_version(library, asset, data)
        await library.run_sent()
    await library.do(RestoreVersion(asset=asset, version=1), EDITOR)
    await library.run_sent()
    revision = (await get_asset(EDITOR, asset)).revision
    changed = of_pipeline(library, NEXT)
    rendered = library.images.rendered
    await feed(library, changed)
    assert library.images.rendered == rendered + 3, "each of the bytes once"
    for version in await versions_of(asset):
        assert f"/{NEXT}/320.webp" in version.renditions[0].url, version.number
        assert version.status == "ready"
    assert (await get_asset(EDITOR, asset)).revision == revision + 1
    await feed(library, changed, "rpl_2")
    assert library.images.rendered == rendered + 3
    await check_references(library)


async def test_a_version_that_had_failed_gets_another_chance(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await ready(library)
    for data in (b"broken, and yet not quite", b"second", b"broken too"):
        await add_version(library, asset, data)
        await library.run_sent()
    assert [each.status for each in await versions_of(asset)] == [
        "ready",
        "failed",
        "ready",
        "failed",
    ]
    real = library.images.render

    async def better(source: Any, into: Any, progress: Any = None) -> Any:
        source.write_bytes(b"mended")
        return await real(source, into, progress)

    monkeypatch.setattr(library.images, "render", better)
    await feed(library, of_pipeline(library, NEXT))
    versions = await versions_of(asset)
    assert [each.status for each in versions] == ["ready"] * 4
    assert [each.number for each in versions if each.current] == [4], "the newest that is ready"
    await check_references(library)


class TestLimit:
    """Three versions at most."""

    @pytest.fixture
    def settings(self) -> LibrarySettings:
        return LibrarySettings(versions=3)

    async def test_the_oldest_goes_where_there_are_too_many(self, library: Library) -> None:
        asset = await ready(library, b"1")
        for data in (b"2", b"3", b"4", b"5"):
            await add_version(library, asset, data)
            await library.run_sent()
        assert await numbers(asset) == [3, 4, 5]
        await check_references(library)
        removed = [each["data"]["number"] for each in await library.events("asset.version.removed")]
        assert removed == [1, 2]
        await library.do(RestoreVersion(asset=asset, version=3), EDITOR)
        await library.run_sent()
        assert await numbers(asset) == [4, 5, 6]
        assert (await get_asset(EDITOR, asset)).sha256 == sha(b"3")
        await check_references(library)

    async def test_many_at_once_end_with_no_more_than_the_limit(self, library: Library) -> None:
        asset = await ready(library, b"1")
        for number in range(2, 9):
            await add_version(library, asset, str(number).encode())
        messages = await library.sent()
        random.Random(3).shuffle(messages)
        for message in messages:
            await library.carry_out(message)
        await library.run_sent()
        view = await get_asset(EDITOR, asset)
        assert (view.version, view.versions) == (8, 3)
        await check_references(library)

    async def test_those_that_failed_count_too(self, library: Library) -> None:
        asset = await ready(library, b"1")
        for number in range(2, 8):
            await add_version(library, asset, b"broken %d" % number)
            await library.run_sent()
        assert await numbers(asset) == [1, 6, 7], "what is shown stays, and the newest"
        await add_version(library, asset, b"8")
        await library.run_sent()
        assert await numbers(asset) == [1, 7, 8]
        assert (await get_asset(EDITOR, asset)).version == 8
        await check_references(library)
