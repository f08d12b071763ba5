"""What crosses in the library: changes that undo each other, and places that go meanwhile."""

from __future__ import annotations

import asyncio

from contracts.asset.commands import (
    DeleteAsset,
    DeleteFolder,
    RenameTag,
    RestoreAsset,
    UpdateAsset,
)
from contracts.corp.events import BrandKitUpdated
from handlers.asset.documents import Asset, Folder
from tests.handlers.asset.conftest import Library
from tests.handlers.asset.test_folders import EDITOR, make, put

ROUNDS = 20
"""Times that commands may lead to others: far more than what is asked for here needs."""


async def settled(library: Library) -> None:
    """Everything sent is carried out, in turns; there is an end to it."""
    for _ in range(ROUNDS):
        sent = await library.sent()
        if not sent:
            return
        for message in sent:
            await library.carry_out(message)
    raise AssertionError("there is no end to it")


async def stored(asset: str) -> Asset:
    found = await Asset.get(asset)
    assert found is not None
    return found


async def test_two_tags_that_become_each_other_at_once_do_so_once(library: Library) -> None:
    asset = await put(library, None)
    await library.run_sent()
    await library.do(UpdateAsset(asset=asset, tags=("a",)), EDITOR)
    await library.do(RenameTag(tag="a", to="b"), EDITOR)
    await library.do(RenameTag(tag="b", to="a"), EDITOR)
    await settled(library)
    assert (await stored(asset)).tags == ["a"], "one after the other"


async def test_what_is_restored_into_a_folder_that_is_gone_is_in_none_and_stays(
    library: Library,
) -> None:
    folder = await make(library, "folder")
    asset = await put(library, folder)
    await library.run_sent()
    await library.do(DeleteAsset(asset=asset), EDITOR)
    await library.do(DeleteFolder(folder=folder), EDITOR)
    restored = await library.do(RestoreAsset(asset=asset), EDITOR)
    assert restored["folder_id"] is None
    await settled(library)
    after = await stored(asset)
    assert (after.trashed_at, after.folder_id) == (None, None)


async def test_nothing_is_put_into_a_folder_that_goes_with_the_one_it_lies_in(
    library: Library,
) -> None:
    top = await make(library, "top")
    inner = await make(library, "inner", top)
    asset, deleted = await put(library, None), await put(library, inner, b"y")
    await library.run_sent()
    await library.do(DeleteAsset(asset=deleted), EDITOR)
    await library.do(DeleteFolder(folder=top, recursive=True), EDITOR)
    assert await Folder.get(inner) is not None, "its turn comes later"
    into = UpdateAsset(asset=asset, folder_id=inner)
    assert await library.code_of(into, EDITOR) == "asset.folder_not_found"
    await library.do(RestoreAsset(asset=deleted), EDITOR)
    await settled(library)
    for each in (asset, deleted):
        after = await stored(each)
        assert (after.trashed_at, after.folder_id) == (None, None)


async def test_what_is_used_comes_back_although_its_folder_is_gone(library: Library) -> None:
    folder = await make(library, "folder")
    asset = await put(library, folder)
    await library.run_sent()
    await library.do(DeleteAsset(asset=asset), EDITOR)
    await library.do(DeleteFolder(folder=folder), EDITOR)
    event = BrandKitUpdated(brand_id="brd_1", name="Sunrise", asset_ids=(asset,))
    await library.react(event, org=EDITOR.org, revision=1)
    after = await stored(asset)
    assert (after.trashed_at, after.folder_id) == (None, None)


async def test_who_restores_and_who_deletes_the_folder_meet(library: Library) -> None:
    for turn in range(8):
        folder = await make(library, f"folder {turn}")
        asset = await put(library, folder, b"%d" % turn)
        await library.run_sent()
        await library.do(DeleteAsset(asset=asset), EDITOR)
        gone, back = await asyncio.gather(
            library.code_of(DeleteFolder(folder=folder), EDITOR),
            library.code_of(RestoreAsset(asset=asset), EDITOR),
        )
        await settled(library)
        after = await stored(asset)
        assert back == "done"
        assert after.trashed_at is None, "restored, and not deleted since"
        if gone == "done":
            assert (await Folder.get(folder), after.folder_id) == (None, None)
        else:
            assert (gone, after.folder_id) == ("asset.folder_not_empty", folder)
