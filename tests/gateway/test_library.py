"""The library over HTTP: folders, search, order, and many assets at once, for who may."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from gateway_client import Answer, Api, Person, new_person
from gateway_stack import eventually

from contracts.permissions import Permission


@dataclass
class Shelf:
    """An organization with two brands and a project in each."""

    path: str
    owner: Person
    brands: list[str] = field(default_factory=list)
    projects: list[str] = field(default_factory=list)

    async def made(self, kind: str, body: Any) -> str:
        answer = await self.owner.api.post(f"{self.path}/{kind}", body)
        assert answer.status == 201, str(answer)
        return str(answer.json.get("id"))

    async def uploaded(self, name: str = "a.txt", **where: str) -> str:
        query = "".join(f"&{key}={value}" for key, value in where.items())
        answer = await self.owner.api.post(
            f"{self.path}/assets?filename={quote(name)}{query}", data=secrets.token_bytes(20)
        )
        assert answer.status == 201, str(answer)
        return str(answer.json["id"])

    async def joined(self, api: Api, role: str, *in_brands: str | None) -> Api:
        """Somebody new with a role, and roles in the brands."""
        person = await new_person(api, "Vera")
        await self.made("members", {"email": person.email, "role": role})
        for brand, own in zip(self.brands, in_brands, strict=False):
            if own is not None:
                await self.made(f"brands/{brand}/roles", {"holder": person.id, "role": own})
        return person.api

    async def listed(self, query: str = "", api: Api | None = None) -> list[str]:
        answer = await (api or self.owner.api).get(f"{self.path}/assets?limit=200{query}")
        assert answer.status == 200, str(answer)
        return [each["id"] for each in answer.json["items"]]


@pytest.fixture
async def shelf(api: Api) -> Shelf:
    owner = await new_person(api, "Olga")
    path = (await owner.api.post("/v1/orgs", {"name": "Shelf"})).headers["Location"]
    made = Shelf(path, owner)
    for name in ("one", "two"):
        made.brands.append(await made.made("brands", {"name": name}))
        made.projects.append(
            await made.made("projects", {"name": name, "brand_id": made.brands[-1]})
        )
    return made


def codes(answer: Answer) -> list[str]:
    assert answer.status == 200, str(answer)
    return [each["code"] or each["status"] for each in answer.json["results"]]


# folders


async def test_a_folder_and_what_is_put_into_it(shelf: Shelf) -> None:
    api, folders = shelf.owner.api, f"{shelf.path}/folders"
    made = await api.post(folders, {"name": "Campaigns"})
    assert (made.status, made.json["parent_id"], made.headers["ETag"]) == (201, None, '"1"')
    assert made.headers["Location"] == f"{folders}/{made.json['id']}"
    top = made.json["id"]
    inner = await shelf.made("folders", {"name": "Summer", "parent_id": top})
    listed = await api.get(f"{folders}?parent_id={top}")
    assert [each["id"] for each in listed.json["items"]] == [inner]
    by_query = await shelf.uploaded(folder_id=inner)
    form = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\nhello\r\n'
        b'--b\r\nContent-Disposition: form-data; name="folder_id"\r\n\r\n%b\r\n--b--\r\n'
    ) % inner.encode()
    by_form = await api.post(
        f"{shelf.path}/assets",
        data=form,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert (by_form.status, by_form.json["folder_id"]) == (201, inner), str(by_form)
    assert by_form.json["created_by"] == shelf.owner.id
    loose = await shelf.uploaded()
    assert await shelf.listed(f"&folder_id={inner}") == [by_query, by_form.json["id"]]
    assert await shelf.listed(f"&under={top}") == [by_query, by_form.json["id"]]
    assert await shelf.listed("&folder_id=root") == [loose]
    moved = await api.patch(f"{shelf.path}/assets/{loose}", {"folder_id": top})
    assert moved.json["folder_id"] == top
    stale = await api.patch(f"{folders}/{top}", {"name": "x"}, headers={"If-Match": '"7"'})
    assert stale.is_problem(412)["code"] == "revision_mismatch"
    into_itself = await api.patch(f"{folders}/{top}", {"parent_id": inner})
    assert into_itself.is_problem(409)["code"] == "asset.folder_within_itself"


async def test_what_names_no_folder_is_refused_before_a_byte_is_kept(shelf: Shelf) -> None:
    api, nothing = shelf.owner.api, "fld_00000000000000000000000000"
    upload = await api.post(f"{shelf.path}/assets?filename=a&folder_id={nothing}", data=b"x")
    assert upload.is_problem(422)["errors"][0]["pointer"] == "/folder_id"
    garbled = await api.post(f"{shelf.path}/assets?filename=a&folder_id=root", data=b"x")
    assert garbled.is_problem(422)["errors"][0]["pointer"] == "folder_id"
    asset = await shelf.uploaded()
    for method, path, body, pointer in (
        ("PATCH", f"assets/{asset}", {"folder_id": nothing}, "/folder_id"),
        ("POST", "folders", {"name": "x", "parent_id": nothing}, "/parent_id"),
        (
            "POST",
            "assets/bulk",
            {"ids": [asset], "operation": "move", "folder_id": nothing},
            "/folder_id",
        ),
    ):
        answer = await api(method, f"{shelf.path}/{path}", body)
        assert answer.is_problem(422)["errors"][0]["pointer"] == pointer
    assert await shelf.listed() == [asset]


async def test_a_hundred_clients_make_the_same_folder_and_one_does(shelf: Shelf) -> None:
    answers = await asyncio.gather(
        *(shelf.owner.api.post(f"{shelf.path}/folders", {"name": "Same"}) for _ in range(100))
    )
    assert Counter(each.status for each in answers) == {201: 1, 409: 99}
    assert {each.code for each in answers} == {None, "asset.folder_name_taken"}


async def test_a_folder_is_deleted_with_all_that_is_in_it_only_when_asked_to(shelf: Shelf) -> None:
    api = shelf.owner.api
    top = await shelf.made("folders", {"name": "top"})
    inner = await shelf.made("folders", {"name": "inner", "parent_id": top})
    await shelf.uploaded(folder_id=inner)
    kept = await shelf.uploaded()
    folder = f"{shelf.path}/folders/{top}"
    for query in ("", "?recursive=false"):
        refused = await api.delete(folder + query)
        assert refused.is_problem(409)["code"] == "asset.folder_not_empty"
    for query in ("?recursive=maybe", "?recursive=", "?recursive=true&recursive=true"):
        assert (await api.delete(folder + query)).is_problem(422)["errors"][0][
            "pointer"
        ] == "recursive"
    key = {"Idempotency-Key": "delete-once"}
    for _ in range(2):
        assert (await api.delete(f"{folder}?recursive=true", headers=key)).status == 204
    other = await api.delete(folder, headers=key)
    assert other.is_problem(422)["code"] == "idempotency.key_reused"
    assert (await api.get(folder)).status == 404
    await eventually(shelf.listed, lambda ids: ids == [kept])


# search


async def test_the_library_is_searched_sorted_and_paged(shelf: Shelf) -> None:
    names = ["Über uns.txt", "beach 2.txt", "Beach 1.txt", "logo.txt"]
    ids = {name: await shelf.uploaded(name, tags="x") for name in names}
    assert await shelf.listed(f"&q={quote('BEACH')}&sort=-name") == [
        ids["beach 2.txt"],
        ids["Beach 1.txt"],
    ]
    assert await shelf.listed("&q=uber") == [ids["Über uns.txt"]]
    assert await shelf.listed("&q=.*") == []
    assert await shelf.listed(f"&name={quote('beach*')}&sort=name") == [
        ids["Beach 1.txt"],
        ids["beach 2.txt"],
    ]
    assert await shelf.listed(
        "&min_bytes=20&max_bytes=20&tags=x&created_after=2020-01-01T00:00:00Z"
    )
    assert await shelf.listed("&kind=image,video") == []
    assert await shelf.listed(f"&uploaded_by={shelf.owner.id}&sort=updated_at") == list(
        ids.values()
    )
    first = await shelf.owner.api.get(f"{shelf.path}/assets?sort=name&limit=3&tag=x")
    cursor = quote(first.json["next_cursor"])
    rest = await shelf.owner.api.get(f"{shelf.path}/assets?sort=name&tag=x&cursor={cursor}")
    found = [each["name"] for each in first.json["items"] + rest.json["items"]]
    assert found == ["Beach 1.txt", "beach 2.txt", "logo.txt", "Über uns.txt"]
    for other in ("sort=-name&tag=x", "sort=name", "sort=name&tag=y", "tag=x"):
        answer = await shelf.owner.api.get(f"{shelf.path}/assets?{other}&cursor={cursor}")
        assert answer.is_problem(422)["code"] == "cursor_invalid"
    tags = await shelf.owner.api.get(f"{shelf.path}/tags?prefix=X")
    assert tags.json["items"] == [{"tag": "x", "assets": 4}]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("kind=image,nothing", "kind"),
        ("status=gone", "status"),
        ("color=red", "color"),
        ("color=%23ff00", "color"),
        ("color_tolerance=51", "color_tolerance"),
        ("min_bytes=1_0", "min_bytes"),
        ("min_bytes=1.0", "min_bytes"),
        ("min_width=-1", "min_width"),
        ("max_height=99999999999999999999", "max_height"),
        ("min_bytes=2&max_bytes=1", "min_bytes"),
        ("created_after=1700000000", "created_after"),
        ("updated_before=tomorrow", "updated_before"),
        ("created_after=9999-12-31T23:59:59-23:59", "created_after"),
        ("updated_after=0001-01-01T00:00:00%2B00:01", "updated_after"),
        ("orientation=round", "orientation"),
        ("media_type=png", "media_type"),
        ("folder_id=top", "folder_id"),
        ("under=root", "under"),
        ("project_id=all", "project_id"),
        ("uploaded_by=me", "uploaded_by"),
        ("tags=a,,b", "tags"),
        ("tag=", "tag"),
        ("q=", "q"),
        ("sort=size", "sort"),
        ("tag=a&tag=b", "tag"),
    ],
)
async def test_a_wrong_filter_is_named(shelf: Shelf, query: str, name: str) -> None:
    answer = await shelf.owner.api.get(f"{shelf.path}/assets?{query}")
    assert [each["pointer"] for each in answer.is_problem(422)["errors"]] == [name]


# many at once


async def test_many_are_tagged_moved_and_deleted_and_told_of_each(shelf: Shelf) -> None:
    api, bulk = shelf.owner.api, f"{shelf.path}/assets/bulk"
    ids = [await shelf.uploaded() for _ in range(3)]
    folder = await shelf.made("folders", {"name": "f"})
    tagged = await api.post(
        bulk, {"ids": [*ids, "ast_nothing"], "operation": "tag", "tags": ["a", "b"]}
    )
    assert codes(tagged) == ["done", "done", "done", "asset.not_found"]
    assert (tagged.json["done"], tagged.json["failed"]) == (3, 1)
    moved = {"ids": ids, "operation": "move", "folder_id": folder, "project_id": shelf.projects[0]}
    assert codes(await api.post(bulk, moved)) == ["done"] * 3
    assert await shelf.listed(f"&folder_id={folder}&project_id={shelf.projects[0]}&tags=a,b") == ids
    headers = {"Idempotency-Key": "delete-two"}
    deleted = {"ids": ids[:2], "operation": "delete"}
    for _ in range(2):
        assert codes(await api.post(bulk, deleted, headers=headers)) == ["done", "done"]
    assert codes(await api.post(bulk, deleted)) == ["asset.not_found"] * 2
    later = await api.post(
        bulk,
        {"ids": ids, "operation": "untag", "tags": ["a"]},
        headers={"Prefer": "respond-async"},
    )
    told = await eventually(
        lambda: api.get(later.json["status_url"]), lambda a: a.json["status"] != "pending"
    )
    assert [each["status"] for each in told.json["result"]["results"]] == [
        "failed", "failed", "done",
    ]  # fmt: skip
    for body, pointer in (
        ({"ids": ids, "operation": "tag"}, "/tags"),
        ({"ids": ids, "operation": "rename"}, "/operation"),
        ({"ids": [], "operation": "delete"}, "/ids"),
        ({"ids": ["ast_1"] * 501, "operation": "delete"}, "/ids"),
        ({"ids": ids, "operation": "delete", "barred": []}, "/barred"),
    ):
        answer = await api.post(bulk, body)
        assert answer.is_problem(422)["errors"][0]["pointer"] == pointer, str(answer)


async def test_nobody_reaches_the_assets_of_a_brand_by_naming_many(api: Api, shelf: Shelf) -> None:
    one, two = [await shelf.uploaded(project_id=project) for project in shelf.projects]
    loose = await shelf.uploaded()
    bulk = f"{shelf.path}/assets/bulk"
    all_of_them = {"ids": [one, two, loose], "operation": "tag", "tags": ["t"]}
    missing = "permission_missing"

    raised = await shelf.joined(api, "viewer", "editor")
    assert codes(await raised.post(bulk, all_of_them)) == ["done", missing, missing]
    lowered = await shelf.joined(api, "editor", None, "viewer")
    assert codes(await lowered.post(bulk, all_of_them)) == ["done", missing, "done"]
    viewer = await shelf.joined(api, "viewer")
    assert (await viewer.post(bulk, all_of_them)).is_problem(403)["code"] == missing

    # Nor is anything moved to where they may do nothing.
    for who, project, status in (
        (raised, shelf.projects[0], 200),
        (raised, shelf.projects[1], 403),
        (raised, None, 403),
        (lowered, shelf.projects[1], 403),
        (lowered, None, 200),
    ):
        body = {"ids": [one], "operation": "move", "project_id": project}
        answer = await who.post(bulk, body)
        assert answer.status == status, str(answer)
    assert await shelf.listed(f"&project_id={shelf.projects[1]}") == [two]

    only_delete = {"ids": [two], "operation": "delete"}
    assert codes(await raised.post(bulk, only_delete)) == [missing]
    assert codes(await lowered.post(bulk, only_delete)) == [missing]
    assert two in await shelf.listed()


async def test_a_key_that_may_not_delete_deletes_none_of_many(api: Api, shelf: Shelf) -> None:
    asset = await shelf.uploaded()
    made = await shelf.owner.api.post(
        f"{shelf.path}/api-keys", {"name": "tags", "scopes": [Permission.ASSET_WRITE.value]}
    )
    key = api.as_(made.json["key"])
    bulk = f"{shelf.path}/assets/bulk"
    tagged = await key.post(bulk, {"ids": [asset], "operation": "tag", "tags": ["t"]})
    assert codes(tagged) == ["done"]
    deleted = await key.post(bulk, {"ids": [asset], "operation": "delete"})
    assert deleted.is_problem(403)["code"] == "permission_missing"
    assert await shelf.listed() == [asset]


async def test_nobody_deletes_or_retags_what_is_of_a_brand_by_its_folder_or_tag(
    api: Api, shelf: Shelf
) -> None:
    folder = await shelf.made("folders", {"name": "shared"})
    inner = await shelf.made("folders", {"name": "inner", "parent_id": folder})
    one, two = [
        await shelf.uploaded(project_id=project, folder_id=inner, tags="shared")
        for project in shelf.projects
    ]
    lowered = await shelf.joined(api, "editor", None, "viewer")
    path = f"{shelf.path}/folders/{folder}?recursive=true"
    assert (await lowered.delete(path)).is_problem(403)["code"] == "permission_missing"
    renames = {"tag": "shared", "to": "taken"}
    (await lowered.post(f"{shelf.path}/tags/rename", renames)).is_problem(403)
    raised = await shelf.joined(api, "viewer", "editor", "editor")
    (await raised.delete(path)).is_problem(403)
    (await raised.post(f"{shelf.path}/folders", {"name": "x"})).is_problem(403)
    (await raised.post(f"{shelf.path}/tags/rename", renames)).is_problem(403)
    assert await shelf.listed("&tag=shared") == [one, two]
    out = await raised.patch(f"{shelf.path}/assets/{two}", {"folder_id": None, "tags": []})
    assert out.status == 200, str(out)
    renamed = await lowered.post(f"{shelf.path}/tags/rename", renames)
    assert (renamed.status, renamed.json["assets"]) == (200, 1), str(renamed)
    await eventually(lambda: shelf.listed("&tag=taken"), lambda ids: ids == [one])
    assert (await lowered.delete(path)).status == 204
    await eventually(shelf.listed, lambda ids: ids == [two])


async def test_a_tag_is_not_renamed_on_what_of_another_brand_lies_in_the_trash(
    api: Api, shelf: Shelf
) -> None:
    theirs = await shelf.uploaded(project_id=shelf.projects[1], tags="kept")
    lowered = await shelf.joined(api, "editor", None, "viewer")
    assert (await shelf.owner.api.delete(f"{shelf.path}/assets/{theirs}")).status == 204
    renames = {"tag": "kept", "to": "taken"}
    (await lowered.post(f"{shelf.path}/tags/rename", renames)).is_problem(403)
    assert (await shelf.owner.api.delete(f"{shelf.path}/trash/{theirs}")).status == 204
    assert (await lowered.post(f"{shelf.path}/tags/rename", renames)).status == 200
