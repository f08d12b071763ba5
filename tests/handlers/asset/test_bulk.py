"""Many assets at once, and a tag on all that have it: what is done is told, for each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.actor import Actor
from contracts.asset.commands import ChangeAssets, CreateFolder, EmptyTrash, RenameTag, UpdateAsset
from contracts.permissions import Role
from handlers.asset.documents import Asset, Blob
from handlers.asset.handlers import bulk
from tests.handlers.asset.conftest import Library
from tests.handlers.asset.test_asset_handlers import upload

EDITOR = Actor(user="usr_eda", org="org_acme", role=Role.EDITOR)
OTHER = Actor(user="usr_otto", org="org_other", role=Role.EDITOR)


def change(ids: list[str], operation: str, **more: Any) -> ChangeAssets:
    return ChangeAssets.model_validate({"ids": ids, "operation": operation, **more})


async def some(library: Library, number: int, actor: Actor = EDITOR) -> list[str]:
    made = [await upload(library, b"%d" % n, actor=actor) for n in range(number)]
    return [each["id"] for each in made]


def codes(result: dict[str, Any]) -> list[str]:
    return [each.get("code") or each["status"] for each in result["results"]]


async def test_each_is_done_or_failed_and_told_in_order(library: Library) -> None:
    one, two, three = await some(library, 3)
    (theirs,) = await some(library, 1, OTHER)
    await library.do(UpdateAsset(asset=two, tags=tuple(f"t{n}" for n in range(50))), EDITOR)
    ids = [three, "ast_nothing", two, theirs, one, one]
    result = await library.do(change(ids, "tag", tags=["new"], barred=[one]), EDITOR)
    assert [each["id"] for each in result["results"]] == [three, "ast_nothing", two, theirs, one]
    assert codes(result) == [
        "done", "asset.not_found", "asset.too_many_tags", "asset.not_found", "permission_missing",
    ]  # fmt: skip
    assert (result["done"], result["failed"]) == (1, 4)
    tagged = [asset.id async for asset in Asset.find({"tags": "new"})]
    assert tagged == [three]


async def test_tags_are_given_and_taken_and_what_is_so_already_changes_nothing(
    library: Library,
) -> None:
    ids = await some(library, 3)
    await library.run_sent()
    before = len(await library.events())
    for _ in range(2):
        result = await library.do(change(ids, "tag", tags=["one", "new"]), EDITOR)
        assert codes(result) == ["done"] * 3
    events = (await library.events())[before:]
    assert [event["type"] for event in events] == ["asset.asset.updated"] * 3
    assert {event["subject"] for event in events} == set(ids)
    await library.do(change(ids[:2], "untag", tags=["one", "two", "never"]), EDITOR)
    found = [tuple(asset.tags) async for asset in Asset.find().sort("_id")]
    assert found == [("new",), ("new",), ("one", "two", "new")]
    assert [asset.revision async for asset in Asset.find().sort("_id")] == [4, 4, 3]


async def test_assets_are_moved_to_folder_and_project_and_out_again(library: Library) -> None:
    ids = await some(library, 2)
    folder = (await library.do(CreateFolder(name="f"), EDITOR))["id"]
    moved = await library.do(change(ids, "move", folder_id=folder, project_id="prj_1"), EDITOR)
    assert codes(moved) == ["done", "done"]
    await library.do(change(ids[:1], "move", folder_id=None), EDITOR)
    found = [(asset.folder_id, asset.project_id) async for asset in Asset.find().sort("_id")]
    assert found == [(None, "prj_1"), (folder, "prj_1")]
    gone = change(ids, "move", folder_id="fld_gone")
    assert await library.code_of(gone, EDITOR) == "asset.folder_not_found"


async def test_deleting_many_that_share_their_bytes_takes_the_bytes_with_the_last(
    library: Library,
) -> None:
    ids = [(await upload(library, b"the same"))["id"] for _ in range(5)]
    other = (await upload(library, b"another"))["id"]
    result = await library.do(change([*ids, "ast_nothing"], "delete"), EDITOR)
    assert codes(result) == ["done"] * 5 + ["asset.not_found"]
    again = await library.do(change(ids, "delete"), EDITOR)
    assert codes(again) == ["asset.not_found"] * 5
    assert len(await library.events("asset.asset.purged")) == 0, "they are in the trash"
    await library.do(EmptyTrash(), EDITOR)
    await library.run_sent()
    assert [asset.id async for asset in Asset.find()] == [other]
    assert await Blob.count() == 1
    assert len(await library.events("asset.asset.deleted")) == 5


async def test_five_hundred_are_one_transaction_beside_others_who_change_the_same(
    library: Library,
) -> None:
    (first,) = await some(library, 1)
    model = await Asset.get_pymongo_collection().find_one({"_id": first})
    assert model is not None
    ids = [f"ast_{number:026}" for number in range(500)]
    await Asset.get_pymongo_collection().insert_many([{**model, "_id": id} for id in ids])
    results = await asyncio.gather(
        library.do(change(ids, "tag", tags=["a"]), EDITOR),
        library.do(change(ids, "tag", tags=["b"]), EDITOR),
        *(library.do(UpdateAsset(asset=id, name="renamed"), EDITOR) for id in ids[::100]),
    )
    assert all(result["done"] == 500 for result in results[:2])
    changed = [asset async for asset in Asset.find({"_id": {"$in": ids}})]
    assert all({"a", "b"} <= set(asset.tags) for asset in changed)
    assert sum(asset.name == "renamed" for asset in changed) == 5
    assert len(await library.events("asset.asset.updated")) == 1005


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"operation": "tag"}, "/tags"),
        ({"operation": "untag", "tags": []}, "/tags"),
        ({"operation": "move"}, "/folder_id"),
        ({"operation": "move", "folder_id": None, "tags": ["a"]}, "/tags"),
        ({"operation": "delete", "folder_id": None}, "/folder_id"),
        ({"operation": "tag", "tags": ["a"], "project_id": None}, "/project_id"),
    ],
)
def test_what_does_not_go_with_the_operation_is_named(given: dict[str, Any], pointer: str) -> None:
    with pytest.raises(bulk.BulkInvalid) as refused:
        bulk._check_fields(ChangeAssets.model_validate({"ids": ["ast_1"], **given}))
    assert [each.pointer for each in refused.value.errors] == [pointer]


@pytest.mark.parametrize("ids", [[], ["ast_1"] * 501, ["nonsense"], "ast_1"])
def test_one_to_five_hundred_ids_are_taken(ids: Any) -> None:
    with pytest.raises(ValidationError):
        change(ids, "delete")


async def test_a_tag_is_renamed_everywhere_and_merges(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    ids = await some(library, 5)
    await some(library, 1, OTHER)
    await library.do(UpdateAsset(asset=ids[0], tags=("two", "zwei", "one")), EDITOR)
    answer = await library.do(RenameTag(tag="one", to="zwei"), EDITOR)
    assert answer == {"tag": "one", "to": "zwei", "assets": 5}
    await library.run_sent()
    found = [asset.tags async for asset in Asset.find({"organization_id": "org_acme"}).sort("_id")]
    assert found == [["two", "zwei"], *[["zwei", "two"]] * 4]
    assert await Asset.find({"organization_id": "org_other", "tags": "one"}).count() == 1
    assert await library.code_of(RenameTag(tag="a", to="a"), EDITOR) == "asset.tag_unchanged"
