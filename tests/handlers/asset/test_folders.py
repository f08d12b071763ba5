"""Folders: names, moves, depth, and what becomes of what lies in them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from contracts.actor import Actor
from contracts.asset.commands import (
    CreateFolder,
    DeleteAsset,
    DeleteFolder,
    UpdateAsset,
    UpdateFolder,
)
from contracts.asset.errors import FolderNotFound
from contracts.corp.events import OrganizationDeleted
from contracts.permissions import Role
from handlers.asset.documents import Asset, Folder
from handlers.asset.handlers import Folders, Trash
from handlers.asset.handlers import library as library_handlers
from handlers.asset.queries import (
    AssetCursor,
    AssetFilter,
    get_asset,
    get_folder,
    list_assets,
    list_folders,
)
from handlers.asset.queries.folders import FolderCursor
from handlers.asset.trees import DEPTH, path_to
from tests.bus.desk import Refused
from tests.handlers.asset.conftest import Library
from tests.handlers.asset.test_asset_handlers import upload

EDITOR = Actor(user="usr_eda", org="org_acme", role=Role.EDITOR)
OTHER = Actor(user="usr_otto", org="org_other", role=Role.EDITOR)


async def make(library: Library, name: str, parent: str | None = None, **more: Any) -> str:
    made = await library.do(CreateFolder(name=name, parent_id=parent), more.get("actor", EDITOR))
    return str(made["id"])


async def put(library: Library, folder: str | None, data: bytes = b"x") -> str:
    made = await upload(library, data, folder=folder)
    return str(made["id"])


async def move(library: Library, folder: str, parent: str | None) -> str:
    """How it ends."""
    return await library.code_of(UpdateFolder(folder=folder, parent_id=parent), EDITOR)


async def test_a_folder_is_made_renamed_moved_and_deleted(library: Library) -> None:
    top = await make(library, " Campaigns ")
    inner = await make(library, "Summer", top)
    view = await get_folder(EDITOR, inner)
    assert (view.name, view.parent_id, view.revision) == ("Summer", top, 1)
    await library.do(UpdateFolder(folder=inner, name="Winter"), EDITOR)
    assert (await get_folder(EDITOR, inner)).parent_id == top, "it stays where it is"
    await library.do(UpdateFolder(folder=inner, parent_id=None), EDITOR)
    view = await get_folder(EDITOR, inner)
    assert (view.name, view.parent_id) == ("Winter", None)
    page = await list_folders(EDITOR, FolderCursor(), "root")
    assert [each.name for each in page.items] == ["Campaigns", "Winter"]
    await library.do(DeleteFolder(folder=top), EDITOR)
    with pytest.raises(FolderNotFound):
        await get_folder(EDITOR, top)
    assert [event["type"] for event in await library.events()] == [
        "asset.folder.created",
        "asset.folder.created",
        "asset.folder.updated",
        "asset.folder.updated",
        "asset.folder.deleted",
    ]


async def test_names_that_look_the_same_are_the_same_within_a_folder(library: Library) -> None:
    top = await make(library, "Übersicht")
    for taken in ("übersicht", "U\u0308BERSICHT", "Über\u200bsicht", " Übersicht"):
        assert await library.code_of(CreateFolder(name=taken), EDITOR) == "asset.folder_name_taken"
    await make(library, "Ubersicht")
    await make(library, "Übersicht", top)
    await make(library, "Übersicht", actor=OTHER)
    inner = await make(library, "x", top)
    rename = UpdateFolder(folder=inner, name="ÜBERSICHT")
    assert await library.code_of(rename, EDITOR) == "asset.folder_name_taken"
    both = UpdateFolder(folder=inner, name="übersicht", parent_id=None)
    assert await library.code_of(both, EDITOR) == "asset.folder_name_taken"
    itself = UpdateFolder(folder=top, name="ÜBERSICHT")
    assert await library.code_of(itself, EDITOR) == "done"


async def test_of_a_hundred_who_make_the_same_folder_one_does(library: Library) -> None:
    codes = await asyncio.gather(
        *(library.code_of(CreateFolder(name="Same"), EDITOR) for _ in range(100))
    )
    assert Counter(codes) == {"done": 1, "asset.folder_name_taken": 99}
    assert await Folder.count() == 1


async def test_no_folder_comes_to_lie_in_itself(library: Library) -> None:
    a = await make(library, "a")
    b = await make(library, "b", a)
    c = await make(library, "c", b)
    for parent in (a, b, c):
        assert await move(library, a, parent) == "asset.folder_within_itself"
    assert await move(library, c, a) == "done"


async def test_two_moves_at_once_make_no_circle(library: Library) -> None:
    for turn in range(5):
        a, b = await make(library, f"a{turn}"), await make(library, f"b{turn}")
        below_a, below_b = await make(library, "x", a), await make(library, "y", b)
        codes = await asyncio.gather(move(library, a, below_b), move(library, b, below_a))
        assert sorted(codes) == ["asset.folder_within_itself", "done"]
        for each in (a, b, below_a, below_b):
            assert (await path_to("org_acme", each))[-1].parent_id is None


async def test_folders_lie_no_deeper_than_allowed(library: Library) -> None:
    chain = [await make(library, "1")]
    while len(chain) < DEPTH:
        chain.append(await make(library, "x", chain[-1]))
    deeper = CreateFolder(name="x", parent_id=chain[-1])
    assert await library.code_of(deeper, EDITOR) == "asset.folder_too_deep"
    other = await make(library, "other")
    inner = await make(library, "inner", other)
    assert await move(library, other, chain[-2]) == "asset.folder_too_deep"
    assert await move(library, inner, chain[-2]) == "done"
    assert await move(library, chain[0], other) == "asset.folder_too_deep"


async def test_there_are_only_so_many(library: Library) -> None:
    library.handling.table[CreateFolder] = Folders(2, Trash(30)).create_folder
    await make(library, "a")
    await make(library, "b")
    await make(library, "a", actor=OTHER)
    assert await library.code_of(CreateFolder(name="c"), EDITOR) == "asset.too_many_folders"


async def test_another_organizations_folder_is_not_there(library: Library) -> None:
    theirs = await make(library, "theirs", actor=OTHER)
    mine = await make(library, "mine")
    for command in (
        CreateFolder(name="x", parent_id=theirs),
        UpdateFolder(folder=theirs, name="x"),
        UpdateFolder(folder=mine, parent_id=theirs),
        DeleteFolder(folder=theirs, recursive=True),
    ):
        assert await library.code_of(command, EDITOR) == "asset.folder_not_found"
    asset = await put(library, None)
    wrong = UpdateAsset(asset=asset, folder_id=theirs)
    assert await library.code_of(wrong, EDITOR) == "asset.folder_not_found"
    with pytest.raises(Refused, match="folder_not_found"):
        await put(library, theirs)


async def test_assets_lie_in_folders_and_are_listed_there_and_below(library: Library) -> None:
    top = await make(library, "top")
    inner = await make(library, "inner", top)
    in_top, in_inner, outside = (
        await put(library, top, b"1"),
        await put(library, inner, b"2"),
        await put(library, None, b"3"),
    )
    assert (await get_asset(EDITOR, in_top)).folder_id == top
    assert (await get_asset(EDITOR, in_top)).created_by == EDITOR.user

    async def found(**sought: Any) -> set[str]:
        page = await list_assets(EDITOR, AssetCursor(), AssetFilter(**sought))
        return {each.id for each in page.items}

    assert await found(folder_id=top) == {in_top}
    assert await found(folder_id="root") == {outside}
    assert await found(under=top) == {in_top, in_inner}
    assert await found(under=top, folder_id=inner) == {in_inner}
    assert await found(under="fld_nothing") == set()
    await library.do(UpdateAsset(asset=outside, folder_id=inner), EDITOR)
    await library.do(UpdateAsset(asset=in_inner, folder_id=None), EDITOR)
    assert await found(under=inner) == {outside}
    moved = (await library.events("asset.asset.updated"))[0]["data"]
    assert (moved["asset_id"], moved["folder_id"]) == (outside, inner)


async def test_a_folder_with_something_in_it_is_not_deleted_unless_asked_to(
    library: Library,
) -> None:
    top = await make(library, "top")
    inner = await make(library, "inner", top)
    asset = await put(library, inner)
    for each in (top, inner):
        code = await library.code_of(DeleteFolder(folder=each), EDITOR)
        assert code == "asset.folder_not_empty"
    await library.do(DeleteAsset(asset=asset), EDITOR)
    assert await library.code_of(DeleteFolder(folder=inner), EDITOR) == "done"
    assert await library.code_of(DeleteFolder(folder=top), EDITOR) == "done"


async def test_deleting_with_all_that_is_in_it_goes_on_to_the_last(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.asset.handlers.folders.AT_ONCE", 2)
    top = await make(library, "top")
    keep = await make(library, "keep")
    for number in range(3):
        inner = await make(library, f"inner {number}", top)
        deep = await make(library, "deep", inner)
        for each in range(3):
            await put(library, deep if each else inner, b"the same bytes")
    kept = await put(library, keep)
    await library.do(DeleteFolder(folder=top, recursive=True), EDITOR)
    await library.run_sent()
    page = await list_assets(EDITOR, AssetCursor())
    assert [each.id for each in page.items] == [kept]
    assert [each.id async for each in Folder.find()] == [keep]
    assert len(await library.events("asset.asset.deleted")) == 9
    assert len(await library.events("asset.folder.deleted")) == 7


async def test_nothing_gets_into_a_folder_that_is_gone(library: Library) -> None:
    """Whoever puts something in and whoever deletes meet: one of them sees the other."""
    for turn in range(8):
        folder = await make(library, f"folder {turn}")
        asset = await put(library, None, b"%d" % turn)
        codes = await asyncio.gather(
            library.code_of(DeleteFolder(folder=folder), EDITOR),
            library.code_of(UpdateAsset(asset=asset, folder_id=folder), EDITOR),
            library.code_of(CreateFolder(name="inner", parent_id=folder), EDITOR),
        )
        gone = await Folder.get(folder) is None
        assert (codes[0] == "done") is gone
        stored = await Asset.get(asset)
        assert stored is not None
        if gone:
            assert codes[1:] == ["asset.folder_not_found"] * 2
            assert stored.folder_id is None
            assert await Folder.find_one({"parent_id": folder}) is None
        else:
            assert codes[0] == "asset.folder_not_empty"


async def test_the_folders_of_an_organization_go_with_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_handlers, "AT_ONCE", 2)
    for number in range(3):
        await make(library, str(number))
    theirs = await make(library, "theirs", actor=OTHER)
    await library.react(OrganizationDeleted(organization_id="org_acme"), org="org_acme")
    await library.run_sent()
    assert [each.id async for each in Folder.find()] == [theirs]


async def test_folders_are_paged_by_name(library: Library) -> None:
    for name in ("b", "Ä", "c", "A", "d"):
        await make(library, name)
    found: list[str] = []
    cursor = FolderCursor(limit=2)
    while True:
        page = await list_folders(EDITOR, cursor, "root")
        found += [each.name for each in page.items]
        if page.next_cursor is None:
            break
        cursor = FolderCursor(limit=2, cursor=page.next_cursor)
    assert found == ["A", "b", "c", "d", "Ä"]
