"""What a role in a brand allows and forbids there, and what archives and kits take, over HTTP."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from gateway_client import Answer, Api, Person, Tenant, add_member, new_person

from contracts.permissions import IN_BRANDS
from gateway.routes import ROUTES
from gateway.scopes import BRAND_OF, BRAND_OF_FIELD, in_fields, in_path, is_about_a_brand
from gateway.table import Route

NOWHERE = "00000000000000000000000000"


@dataclass
class House:
    """An organization with two brands, a project in each, and an asset in each project."""

    path: str
    owner: Person
    brands: list[str]
    projects: list[str]
    assets: list[str]
    loose: str
    """An asset in no project."""

    async def joined(self, api: Api, role: str, *brand_roles: str | None) -> Api:
        """Somebody new with a role, and roles in the brands."""
        person = await new_person(api, "Vera")
        await self.make("members", {"email": person.email, "role": role})
        for brand, own in zip(self.brands, brand_roles, strict=False):
            if own is not None:
                await self.make(f"brands/{brand}/roles", {"holder": person.id, "role": own})
        return person.api

    async def make(self, kind: str, body: Any) -> dict[str, Any]:
        made = await self.owner.api.post(f"{self.path}/{kind}", body)
        assert made.status == 201, str(made)
        found: dict[str, Any] = made.json
        return found

    async def upload(self, api: Api, project: str | None) -> Answer:
        query = f"&project_id={project}" if project else ""
        return await api.post(
            f"{self.path}/assets?filename=a.txt{query}", data=secrets.token_bytes(20).hex().encode()
        )


@pytest.fixture(scope="module")
async def house(api: Api) -> House:
    owner = await new_person(api, "Olga")
    path = (await owner.api.post("/v1/orgs", {"name": "House"})).headers["Location"]
    made = House(path, owner, [], [], [], "")
    for name in ("one", "two"):
        brand = (await made.make("brands", {"name": name}))["id"]
        project = (await made.make("projects", {"name": name, "brand_id": brand}))["id"]
        made.brands.append(brand)
        made.projects.append(project)
        made.assets.append((await made.upload(owner.api, project)).json["id"])
    made.loose = (await made.upload(owner.api, None)).json["id"]
    return made


# the table


SCOPED = [route for route in ROUTES if route.allow in IN_BRANDS]


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: route.operation)
def test_a_route_that_names_something_of_a_brand_asks_in_that_brand(route: Route) -> None:
    named = {"brand", "project", "asset", "presigned"} & set(route.in_path)
    assert (in_path(route) is not None) == bool(named)
    sent = {"brand_id", "project_id", "upload_id"} & {*route.body_fields, *in_fields(route)}
    assert set(in_fields(route)) == sent
    assert is_about_a_brand(route) == bool(named or sent or route.placed)


def test_whatever_is_in_an_address_is_known_to_be_of_a_brand_or_not() -> None:
    of_none = {"org", "user", "team", "holder", "invitation", "folder", "upload"}
    for route in SCOPED:
        assert set(route.in_path) <= {*BRAND_OF, *of_none}, (
            f"{route.path}: say in gateway/scopes.py which brand this belongs to"
        )
        unknown = {name for name in route.body_fields if name.endswith("_id")}
        known = {*BRAND_OF_FIELD, "blob_id", "folder_id", "parent_id"}
        assert unknown <= known, route.path
        assert ("ids" in route.body_fields) == (route.needs is not None), (
            f"{route.path}: what is needed for each of many assets is said with needs="
        )


def test_these_are_about_a_brand() -> None:
    about = {route.operation for route in ROUTES if is_about_a_brand(route)}
    assert about >= {
        "updateBrand", "deleteBrand", "updateBrandKit", "addBrandRole", "changeBrandRole",
        "removeBrandRole", "createProject", "updateProject", "deleteProject", "uploadAsset",
        "updateAsset", "deleteAsset",
    }  # fmt: skip
    assert "createBrand" not in about


# who may


async def test_who_is_raised_in_a_brand_may_more_there_and_nowhere_else(
    api: Api, house: House
) -> None:
    vera, (one, two) = await house.joined(api, "viewer", "editor"), house.brands
    for brand, status in ((one, 201), (two, 403)):
        body = {"name": secrets.token_hex(4), "brand_id": brand}
        assert (await vera.post(f"{house.path}/projects", body)).status == status
    for project, asset, ok in zip(house.projects, house.assets, (True, False), strict=True):
        renamed = await vera.patch(f"{house.path}/projects/{project}", {"name": f"by {ok}"})
        assert renamed.status == (200 if ok else 403), str(renamed)
        uploaded = await house.upload(vera, project)
        assert uploaded.status == (201 if ok else 403), str(uploaded)
        tagged = await vera.patch(f"{house.path}/assets/{asset}", {"tags": ["x"]})
        assert tagged.status == (200 if ok else 403), str(tagged)
    (await house.upload(vera, None)).is_problem(403)
    (await vera.patch(f"{house.path}/assets/{house.loose}", {"tags": ["x"]})).is_problem(403)
    for path, body in (
        (f"brands/{one}", {"name": "no editor's"}),
        (f"brands/{one}/kit", {"colors": []}),
    ):
        (await vera.patch(f"{house.path}/{path}", body)).is_problem(403)
    (await vera.delete(f"{house.path}/projects/{house.projects[0]}")).is_problem(403)
    (await vera.post(f"{house.path}/brands", {"name": "none"})).is_problem(403)


async def test_who_is_lowered_in_a_brand_may_less_there_and_nowhere_else(
    api: Api, house: House
) -> None:
    vera = await house.joined(api, "editor", "viewer")
    for project, asset, ok in zip(house.projects, house.assets, (False, True), strict=True):
        tagged = await vera.patch(f"{house.path}/assets/{asset}", {"tags": ["y"]})
        assert tagged.status == (200 if ok else 403), str(tagged)
        uploaded = await house.upload(vera, project)
        assert uploaded.status == (201 if ok else 403), str(uploaded)
        assert (await vera.get(f"{house.path}/assets/{asset}")).status == 200, "read it all"
    assert (await house.upload(vera, None)).status == 201
    assert (await vera.patch(f"{house.path}/assets/{house.loose}", {"tags": ["y"]})).status == 200


async def test_who_moves_an_asset_needs_the_permission_on_both_sides(
    api: Api, house: House
) -> None:
    raised = await house.joined(api, "viewer", "editor")
    lowered = await house.joined(api, "editor", None, "viewer")
    both = await house.joined(api, "viewer", "editor", "admin")
    one, two = house.projects
    for who, start, end, ok in (
        (raised, one, two, False),
        (raised, two, one, False),
        (raised, one, None, False),
        (raised, None, one, False),
        (raised, one, one, True),
        (lowered, one, None, True),
        (lowered, None, one, True),
        (lowered, None, two, False),
        (lowered, two, one, False),
        (both, one, two, True),
        (both, two, one, True),
        (both, one, None, False),
    ):
        asset = (await house.upload(house.owner.api, start)).json["id"]
        moved = await who.patch(f"{house.path}/assets/{asset}", {"project_id": end})
        assert moved.status == (200 if ok else 403), f"{start} → {end}: {moved}"
        if not ok:
            assert moved.code == "permission_missing"
            still = (await house.owner.api.get(f"{house.path}/assets/{asset}")).json
            assert still["project_id"] == start


async def test_what_does_not_exist_and_what_is_anothers_are_answered_alike(
    api: Api, house: House, alpha: Tenant
) -> None:
    raised = await house.joined(api, "viewer", "editor")
    lowered = await house.joined(api, "editor", "viewer")
    for who, status in ((raised, 403), (lowered, 404)):
        for kind, theirs, prefix in (
            ("projects", alpha.project, "prj"),
            ("assets", alpha.asset, "ast"),
        ):
            answers = [
                await who.patch(f"{house.path}/{kind}/{id}", {"name": "x"})
                for id in (theirs, f"{prefix}_{NOWHERE}")
            ]
            first, second = [{**each.is_problem(status), "request_id": ""} for each in answers]
            assert first == second
    for brand in (alpha.brand, f"brd_{NOWHERE}"):
        body = {"name": "x", "brand_id": brand}
        (await raised.post(f"{house.path}/projects", body)).is_problem(403)
        (await lowered.post(f"{house.path}/projects", body)).is_problem(404)


async def test_a_form_says_its_project_before_its_file_where_it_matters(
    api: Api, house: House
) -> None:
    raised = await house.joined(api, "viewer", "editor")
    one, two = house.projects

    def form(*parts: tuple[str, str]) -> tuple[bytes, dict[str, str]]:
        lines = []
        for name, value in parts:
            file = '; filename="a.txt"' if name == "file" else ""
            lines.append(
                f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n{value}\r\n'
            )
        return "".join([*lines, "--b--\r\n"]).encode(), {
            "Content-Type": "multipart/form-data; boundary=b"
        }

    content = secrets.token_hex(8)
    for parts, query, status in (
        ((("project_id", one), ("file", content)), "", 201),
        ((("file", content),), f"?project_id={one}", 201),
        ((("file", content), ("project_id", one)), "", 403),
        ((("project_id", two), ("file", content)), "", 403),
        ((("file", content), ("project_id", two)), f"?project_id={one}", 403),
        ((("file", content),), "", 403),
    ):
        body, headers = form(*parts)
        answer = await raised.post(f"{house.path}/assets{query}", data=body, headers=headers)
        assert answer.status == status, f"{parts} {query}: {answer}"
    body, headers = form(("file", content), ("project_id", f"prj_{NOWHERE}"))
    late = await house.owner.api.post(f"{house.path}/assets", data=body, headers=headers)
    assert late.is_problem(422)["errors"][0]["pointer"] == "/project_id"


async def test_who_administers_a_brand_says_who_may_what_in_it(api: Api, house: House) -> None:
    brand = (await house.make("brands", {"name": f"own {secrets.token_hex(4)}"}))["id"]
    chief, helper = await new_person(api, "Chief"), await new_person(api, "Helper")
    for person in (chief, helper):
        await house.make("members", {"email": person.email, "role": "viewer"})
    await house.make(f"brands/{brand}/roles", {"holder": chief.id, "role": "admin"})
    roles = f"{house.path}/brands/{brand}/roles"
    given = await chief.api.post(roles, {"holder": helper.id, "role": "editor"})
    assert given.status == 201, str(given)
    assert given.headers["Location"] == f"{roles}/{helper.id}"
    shown = await helper.api.get(given.headers["Location"])
    assert (shown.json["name"], shown.json["role"]) == ("Helper", "editor")
    (await helper.api.post(roles, {"holder": helper.id, "role": "admin"})).is_problem(403)
    (await helper.api.patch(f"{roles}/{helper.id}", {"role": "admin"})).is_problem(403)
    elsewhere = f"{house.path}/brands/{house.brands[0]}/roles"
    (await chief.api.post(elsewhere, {"holder": helper.id, "role": "viewer"})).is_problem(403)
    assert (await chief.api.patch(f"{house.path}/brands/{brand}/kit", {"logos": []})).status == 200
    stale = await chief.api.patch(
        f"{roles}/{helper.id}", {"role": "viewer"}, headers={"If-Match": '"7"'}
    )
    stale.is_problem(412)
    assert (await chief.api.patch(f"{roles}/{helper.id}", {"role": "admin"})).status == 200
    assert (await helper.api.delete(f"{roles}/{chief.id}")).status == 204
    (await chief.api.delete(f"{roles}/{helper.id}")).is_problem(403)
    listed = (await chief.api.get(roles)).json
    assert [each["holder"] for each in listed["items"]] == [helper.id]
    for body, pointer in (
        ({"holder": helper.id, "role": "owner"}, "/role"),
        ({"holder": "org_1", "role": "viewer"}, "/holder"),
        ({"holder": f"usr_{NOWHERE}", "role": "viewer"}, "/holder"),
        ({"holder": f"team_{NOWHERE}", "role": "viewer"}, "/holder"),
    ):
        refused = await house.owner.api.post(roles, body)
        assert refused.is_problem(422)["errors"][0]["pointer"] == pointer


async def test_a_role_in_a_brand_counts_from_the_next_request_on(api: Api, house: House) -> None:
    person = await new_person(api, "Nina")
    await house.make("members", {"email": person.email, "role": "viewer"})
    team = (await house.make("teams", {"name": f"crew {secrets.token_hex(4)}"}))["id"]
    await house.make(f"teams/{team}/members", {"user_id": person.id})
    roles = f"{house.path}/brands/{house.brands[0]}/roles"
    asset = f"{house.path}/assets/{house.assets[0]}"
    for role, status in (("editor", 200), ("reviewer", 403)):
        if role == "editor":
            await house.make(f"brands/{house.brands[0]}/roles", {"holder": team, "role": role})
        else:
            await house.owner.api.patch(f"{roles}/{team}", {"role": role})
        assert (await person.api.patch(asset, {"tags": [role]})).status == status
    await house.owner.api.patch(f"{house.path}/teams/{team}", {"role": "editor"})
    (await person.api.patch(asset, {"tags": ["z"]})).is_problem(403)
    assert (await house.owner.api.delete(f"{roles}/{team}")).status == 204
    assert (await person.api.patch(asset, {"tags": ["z"]})).status == 200
    left = await house.owner.api.delete(f"{house.path}/teams/{team}/members/{person.id}")
    assert left.status == 204
    (await person.api.patch(asset, {"tags": ["w"]})).is_problem(403)


# archives and kits


async def test_what_is_archived_takes_no_uploads_and_can_be_read(api: Api, house: House) -> None:
    owner = house.owner.api
    brand = (await house.make("brands", {"name": f"old {secrets.token_hex(4)}"}))["id"]
    project = (await house.make("projects", {"name": "p", "brand_id": brand}))["id"]
    asset = (await house.upload(owner, project)).json["id"]
    for what, code in (
        (f"projects/{project}", "corp.project_archived"),
        (f"brands/{brand}", "corp.brand_archived"),
    ):
        assert (await owner.patch(f"{house.path}/{what}", {"status": "archived"})).status == 200
        refused = await house.upload(owner, project)
        assert refused.is_problem(409)["code"] == code
        assert refused.json["errors"][0]["pointer"] == "/project_id"
        moved = await owner.patch(f"{house.path}/assets/{house.loose}", {"project_id": project})
        assert moved.is_problem(409)["code"] == code
        assert (await owner.get(f"{house.path}/assets/{asset}")).status == 200
        listed = await owner.get(f"{house.path}/assets?project_id={project}")
        assert [each["id"] for each in listed.json["items"]] == [asset]
        shown = (await owner.get(f"{house.path}/projects/{project}")).json
        assert shown["status"] == "archived"
        if what.startswith("projects"):
            assert shown["archived_with"] is None
            await owner.patch(f"{house.path}/{what}", {"status": "active"})
        else:
            assert shown["archived_with"] == "brand"
    late = await owner.post(f"{house.path}/projects", {"name": "late", "brand_id": brand})
    assert late.is_problem(409)["code"] == "corp.brand_archived"
    assert (await owner.patch(f"{house.path}/brands/{brand}", {"status": "active"})).status == 200
    assert (await house.upload(owner, project)).status == 201


async def test_a_kit_names_assets_that_exist(house: House, alpha: Tenant) -> None:
    owner, kit = house.owner.api, f"{house.path}/brands/{house.brands[1]}/kit"
    before = await owner.get(kit)
    body = {
        "colors": [{"name": "Sunrise", "value": "#FFAA00"}, {"name": "Veil", "value": "#00000080"}],
        "fonts": [{"family": "Inter"}, {"family": "Own", "asset_id": house.assets[0]}],
        "logos": [{"name": "Mark", "asset_id": house.assets[1]}],
    }
    saved = await owner.patch(kit, body, headers={"If-Match": before.headers["ETag"]})
    assert saved.status == 200, str(saved)
    assert saved.json["fonts"][0] == {
        "family": "Inter", "style": "normal", "weight": 400, "asset_id": None,
    }  # fmt: skip
    again = await owner.get(kit, headers={"If-None-Match": saved.headers["ETag"]})
    assert again.status == 304
    (await owner.patch(kit, body, headers={"If-Match": before.headers["ETag"]})).is_problem(412)
    logo = body["logos"][0]
    for change, pointer in (
        ({"logos": [logo, {"name": "b", "asset_id": alpha.asset}]}, "/logos/1/asset_id"),
        ({"fonts": [{"family": "x", "asset_id": f"ast_{NOWHERE}"}]}, "/fonts/0/asset_id"),
        ({"logos": [logo, logo]}, "/logos/1"),
        ({"colors": [{"name": "x", "value": "red"}]}, "/colors/0/value"),
        ({"colors": [{"name": "x", "value": "#12345"}]}, "/colors/0/value"),
        ({"colors": [{"name": "x", "value": "#1234567\n"}]}, "/colors/0/value"),
        ({"colors": None}, "/colors"),
        ({"colors": [{"name": f"c{n}", "value": "#000000"} for n in range(51)]}, "/colors"),
        ({"fonts": [{"family": "x", "weight": -1}]}, "/fonts/0/weight"),
        ({"logos": ["x"]}, "/logos/0"),
    ):
        refused = await owner.patch(kit, change)
        assert refused.is_problem(422)["errors"][0]["pointer"] == pointer, str(refused)
    assert (await owner.get(kit)).json == saved.json


# names


LOOKALIKES = ["Nike", "NIKE", "Ni\u200bke", "Ｎｉｋｅ", " nike "]


@pytest.mark.parametrize("kind", ["brands", "projects", "teams", "slug"])
async def test_of_a_hundred_who_want_one_name_at_once_one_gets_it(house: House, kind: str) -> None:
    mark = secrets.token_hex(3)
    path = f"{house.path}/{kind}"
    bodies: list[dict[str, Any]] = [
        {"name": f"{LOOKALIKES[number % 5]} {mark}"} for number in range(100)
    ]
    code = f"corp.{kind[:-1]}_name_taken"
    if kind == "projects":
        bodies = [{**body, "brand_id": house.brands[0]} for body in bodies]
    if kind == "slug":
        path, code = "/v1/orgs", "corp.slug_taken"
        bodies = [{"name": "Slug", "slug": f"slug-{mark}"}] * 100
    answers = await asyncio.gather(*(house.owner.api.post(path, body) for body in bodies))
    ends = Counter((answer.status, answer.code) for answer in answers)
    assert ends == {(201, None): 1, (409, code): 99}


@pytest.mark.parametrize(
    "slug", ["ａcme", "аcme", "acme\u200b", "ACME", "acmé", "acme\n", "-acme", "", "a" * 64]
)
async def test_a_slug_has_no_lookalikes(house: House, slug: str) -> None:
    answer = await house.owner.api.post("/v1/orgs", {"name": "x", "slug": slug})
    assert answer.is_problem(422)["errors"][0]["pointer"] == "/slug"


async def test_a_member_of_a_team_is_found_by_it(api: Api, alpha: Tenant) -> None:
    person = await add_member(api, alpha, "viewer")
    path = f"/v1/orgs/{alpha.org}"
    made = await alpha.owner.api.post(f"{path}/teams", {"name": f"crew {secrets.token_hex(4)}"})
    members = f"{made.headers['Location']}/members"
    joined = await alpha.owner.api.post(members, {"user_id": person.id})
    assert joined.status == 201, str(joined)
    for found in (
        await person.api.get(f"{path}/members?team={made.json['id']}"),
        await person.api.get(members),
    ):
        assert [each["user_id"] for each in found.json["items"]] == [person.id]
    refused = await alpha.owner.api.post(members, {"user_id": f"usr_{NOWHERE}"})
    assert refused.is_problem(422)["errors"][0]["pointer"] == "/user_id"
    for body in ({"name": "x", "role": "owner"}, {"name": "x", "role": 1}, {"name": "\u200b"}):
        (await alpha.owner.api.post(f"{path}/teams", body)).is_problem(422)
