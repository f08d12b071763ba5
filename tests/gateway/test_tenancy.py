"""Who may do what: every route of the table, for everybody who could ask."""

from __future__ import annotations

import re
from typing import Any

import pytest
from gateway_client import TUS, Answer, Api, Person, Tenant, add_member, new_person, new_tenant
from gateway_stack import eventually

from contracts.permissions import (
    BY_PEOPLE_ALONE,
    GRANTS,
    PLATFORM_GRANTS,
    Permission,
    PlatformPermission,
    PlatformRole,
    Role,
)
from gateway.routes import ROUTES
from gateway.table import Access, Route
from infra.embedded.running import RunningStack

IN_ORG = [route for route in ROUTES if route.tenant]
OF_PLATFORM = [route for route in ROUTES if isinstance(route.allow, PlatformPermission)]
NOT_PUBLIC = [route for route in ROUTES if route.allow is not Access.PUBLIC]
NOBODY = "xxx_00000000000000000000000000"


def named(routes: list[Route]) -> dict[str, Any]:
    return {"argvalues": routes, "ids": [route.operation for route in routes]}


def address(route: Route, tenant: Tenant, *, missing: bool = False) -> str:
    """The route's path with the tenant's ids; ``missing`` names things that do not exist."""
    ids = {
        "org": tenant.org,
        "user": tenant.owner.id,
        "brand": tenant.brand,
        "project": tenant.project,
        "asset": tenant.asset,
        "version": "1",
        "session": tenant.owner.tokens["session_id"],
        "command": "cmd_00000000000000000000000000",
        "team": tenant.team,
        "holder": tenant.team,
        "invitation": tenant.invitation,
        "folder": tenant.folder,
        "upload": tenant.upload,
        "key_id": NOBODY,
        "notification": NOBODY,
        "presigned": NOBODY,
    }
    if missing:
        ids = {name: id if name == "org" else NOBODY for name, id in ids.items()}
    return re.sub(r"{(\w+)[^}]*}", lambda found: ids[found[1]], route.path)


async def ask(route: Route, api: Api, path: str) -> Answer:
    """With a body that no command takes: a route must refuse before it looks at it."""
    body = {"no_such_field": 1} if route.kind == "command" else None
    return await api(route.method, path, body)


@pytest.mark.parametrize("route", **named(NOT_PUBLIC))
async def test_nobody_gets_in_without_a_token(route: Route, api: Api, alpha: Tenant) -> None:
    answer = await ask(route, api, address(route, alpha))
    assert answer.is_problem(401)["code"] == "auth.token_missing"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="grid8"'


@pytest.mark.parametrize("route", **named(NOT_PUBLIC))
async def test_a_made_up_token_is_refused(route: Route, api: Api, alpha: Tenant) -> None:
    for token in ("garbage", "a.b.c", alpha.owner.tokens["refresh_token"], "g8k_" + "x" * 40):
        answer = await ask(route, api.as_(token), address(route, alpha))
        assert answer.is_problem(401)["code"] == "auth.token_invalid"


@pytest.mark.parametrize("route", **named(IN_ORG))
async def test_another_tenant_learns_nothing(route: Route, alpha: Tenant, beta: Tenant) -> None:
    stranger = beta.owner.api
    for path in (address(route, alpha), address(route, alpha, missing=True)):
        answer = await ask(route, stranger, path)
        assert answer.is_problem(404)["code"] == "corp.organization_not_found"
    imaginary = address(route, alpha).replace(alpha.org, "org_00000000000000000000000000")
    made_up = await ask(route, stranger, imaginary)
    real = await ask(route, stranger, address(route, alpha))
    assert {**made_up.json, "request_id": ""} == {**real.json, "request_id": ""}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("route", **named(IN_ORG))
async def test_a_role_may_what_the_table_says_and_no_more(
    route: Route, role: Role, alpha: Tenant
) -> None:
    answer = await ask(route, alpha.people[role].api, address(route, alpha, missing=True))
    assert isinstance(route.allow, Permission)
    if route.allow in GRANTS[role]:
        assert answer.status not in (401, 403), str(answer)
        assert answer.code != "corp.organization_not_found", str(answer)
        assert answer.status < 500, str(answer)
    else:
        assert answer.is_problem(403)["code"] == "permission_missing"


async def key_with(tenant: Tenant, *scopes: Permission) -> Api:
    """The tenant, as asked by a new API key."""
    made = await tenant.owner.api.post(
        f"/v1/orgs/{tenant.org}/api-keys",
        {"name": "of the walk", "scopes": [scope.value for scope in scopes]},
    )
    assert made.status == 201, str(made)
    return tenant.owner.api.as_(made.json["key"])


OF_KEYS = [scope for scope in Permission if scope not in BY_PEOPLE_ALONE]


@pytest.fixture(scope="session")
async def keys(alpha: Tenant) -> dict[Permission, tuple[Api, Api]]:
    """For each permission: a key with it alone, and one with all others that a key can have."""
    found = {}
    for scope in Permission:
        others = await key_with(alpha, *(each for each in OF_KEYS if each is not scope))
        alone = await key_with(alpha, scope) if scope in OF_KEYS else others
        found[scope] = (alone, others)
    return found


@pytest.mark.parametrize("route", **named(IN_ORG))
async def test_a_key_may_what_its_scopes_say_and_no_more(
    route: Route, alpha: Tenant, beta: Tenant, keys: dict[Permission, tuple[Api, Api]]
) -> None:
    assert isinstance(route.allow, Permission)
    alone, others = keys[route.allow]
    refused = await ask(route, others, address(route, alpha, missing=True))
    assert refused.is_problem(403)["code"] == "permission_missing"
    if route.allow in OF_KEYS:
        answer = await ask(route, alone, address(route, alpha, missing=True))
        assert answer.status not in (401, 403), str(answer)
        assert answer.code != "corp.organization_not_found", str(answer)
        assert answer.status < 500, str(answer)
    elsewhere = await ask(route, alone, address(route, beta))
    assert elsewhere.is_problem(404)["code"] == "corp.organization_not_found"


@pytest.mark.parametrize("route", **named([r for r in NOT_PUBLIC if not r.tenant]))
async def test_outside_of_organizations_a_key_may_only_ask_after_its_commands(
    route: Route, alpha: Tenant, keys: dict[Permission, tuple[Api, Api]]
) -> None:
    answer = await ask(route, keys[Permission.ASSET_READ][0], address(route, alpha))
    if route.allow is Access.KNOWN:
        assert answer.is_problem(404)["code"] == "command_unknown"
    else:
        assert answer.is_problem(403)["code"] == "auth.person_needed"


@pytest.mark.parametrize("role", [*PlatformRole, None])
@pytest.mark.parametrize("route", **named(OF_PLATFORM))
async def test_a_platform_role_may_what_the_table_says_and_no_more(
    route: Route, role: PlatformRole | None, alpha: Tenant, platform: dict[Any, Person]
) -> None:
    answer = await ask(route, platform[role].api, address(route, alpha, missing=True))
    if role is not None and route.allow in PLATFORM_GRANTS[role]:
        assert answer.status not in (401, 403), str(answer)
        assert answer.status < 500, str(answer)
    else:
        assert answer.is_problem(403)["code"] == "permission_missing"


@pytest.mark.parametrize("route", **named(NOT_PUBLIC))
async def test_who_impersonates_does_nothing_that_only_the_user_does(
    route: Route, alpha: Tenant, impersonating: Api
) -> None:
    answer = await ask(route, impersonating, address(route, alpha, missing=True))
    if route.by_impersonators:
        assert answer.code != "auth.not_while_impersonating", str(answer)
        assert answer.status not in (401, 403), str(answer)
    else:
        assert answer.is_problem(403)["code"] == "auth.not_while_impersonating"


def test_what_only_the_user_does_is_closed_to_who_impersonates() -> None:
    open_to = {route.operation for route in ROUTES if route.by_impersonators}
    assert not open_to & {
        "changePassword",
        "beginMfa",
        "confirmMfa",
        "disableMfa",
        "updateProfile",
        "revokeSessions",
        "createOrganization",
        "deleteOrganization",
        "transferOrganization",
        "createApiKey",
        "rotateApiKey",
        "revokeApiKey",
        "impersonate",
        "changeUser",
        "addMember",
    }
    assert "uploadAsset" in open_to


def test_every_route_in_an_organization_asks_for_a_permission_there() -> None:
    for route in ROUTES:
        if route.method == "OPTIONS":
            continue  # of every organization the same, whether it is there or not
        assert route.tenant == route.path.startswith("/v1/orgs/{org}"), route.path
        assert route.allow is not Access.PUBLIC or not route.path.startswith("/v1/orgs")


def own_paths(tenant: Tenant, other: Tenant) -> list[tuple[str, str]]:
    """Route and address: the other tenant's things under one's own organization."""
    return [
        (route.operation, address(route, other).replace(other.org, tenant.org))
        for route in IN_ORG
        if set(route.in_path) - {"org"}
    ]


async def test_another_tenants_ids_under_ones_own_organization_are_unknown(
    alpha: Tenant, beta: Tenant
) -> None:
    routes = {route.operation: route for route in IN_ORG}
    bodies: dict[str, dict[str, Any]] = {
        "changeMember": {"role": "viewer"},
        "updateBrand": {"name": "stolen"},
        "updateProject": {"name": "stolen"},
        "updateAsset": {"name": "stolen"},
        "updateTeam": {"name": "stolen"},
        "updateFolder": {"name": "stolen"},
        "addTeamMember": {"user_id": beta.owner.id},
        "updateBrandKit": {"colors": []},
        "addBrandRole": {"holder": beta.team, "role": "viewer"},
        "changeBrandRole": {"role": "viewer"},
    }
    headers = {
        "deleteUpload": TUS,
        "appendToUpload": {
            **TUS,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": "0",
        },
    }
    tried = own_paths(beta, alpha)
    assert len(tried) >= 12
    for operation, path in tried:
        answer = await beta.owner.api(
            routes[operation].method,
            path,
            bodies.get(operation),
            headers=headers.get(operation),
            data=b"x" if operation == "appendToUpload" else None,
        )
        answer.is_problem(404)
        assert_silent(answer, alpha)
    for kind, id in (
        ("brands", alpha.brand),
        ("projects", alpha.project),
        ("assets", alpha.asset),
        ("folders", alpha.folder),
    ):
        still = await alpha.owner.api.get(f"/v1/orgs/{alpha.org}/{kind}/{id}")
        assert still.status == 200
        assert alpha.marker in still.json["name"]


def assert_silent(answer: Answer, tenant: Tenant) -> None:
    text = answer.body.decode() + str(dict(answer.headers))
    for secret in tenant.secrets():
        assert secret not in text, f"{secret} in {answer}"


async def test_another_tenants_ids_in_a_body_or_filter_are_unknown(
    alpha: Tenant, beta: Tenant
) -> None:
    mine, org = beta.owner.api, f"/v1/orgs/{beta.org}"
    stolen = await mine.post(f"{org}/projects", {"name": "x", "brand_id": alpha.brand})
    stolen.is_problem(404, 422)
    moved = await mine.patch(f"{org}/assets/{beta.asset}", {"project_id": alpha.project})
    assert moved.is_problem(422)["errors"][0]["pointer"] == "/project_id"
    uploaded = await mine.post(
        f"{org}/assets?project_id={alpha.project}&filename=a.txt", data=b"hello"
    )
    uploaded.is_problem(422)
    for filters in (
        f"assets?project_id={alpha.project}",
        f"assets?sha256={alpha.asset_view['sha256']}",
        f"assets?tag={alpha.marker}",
        f"assets?q={alpha.marker}",
        f"assets?folder_id={alpha.folder}",
        f"assets?under={alpha.folder}",
        f"folders?parent_id={alpha.folder}",
        f"tags?prefix={alpha.marker}",
        f"projects?brand_id={alpha.brand}",
        f"brands?name={alpha.marker}%20brand",
        f"teams?name={alpha.marker}%20team",
        f"members?team={alpha.team}",
    ):
        found = await mine.get(f"{org}/{filters}")
        assert found.status == 200, str(found)
        assert found.json["items"] == []
    inner = await mine.post(f"{org}/folders", {"name": "x", "parent_id": alpha.folder})
    assert inner.is_problem(422)["errors"][0]["pointer"] == "/parent_id"
    filed = await mine.patch(f"{org}/assets/{beta.asset}", {"folder_id": alpha.folder})
    assert filed.is_problem(422)["errors"][0]["pointer"] == "/folder_id"
    many = await mine.post(
        f"{org}/assets/bulk", {"ids": [alpha.asset], "operation": "tag", "tags": ["stolen"]}
    )
    assert many.json["results"][0]["code"] == "asset.not_found"
    for answer in (stolen, moved, uploaded, inner, filed):
        assert_silent_but_for_what_was_sent(answer, alpha)


def assert_silent_but_for_what_was_sent(answer: Answer, tenant: Tenant) -> None:
    text = answer.body.decode()
    for secret in (tenant.marker, tenant.org, tenant.asset, tenant.owner.email):
        assert secret not in text, f"{secret} in {answer}"


async def test_everything_one_tenant_can_read_is_silent_about_the_other(
    alpha: Tenant, beta: Tenant
) -> None:
    for route in ROUTES:
        if route.method != "GET" or "{key:" in route.path or "{code" in route.path:
            continue
        answer = await beta.owner.api.get(address(route, beta))
        assert answer.status < 500
        assert_silent(answer, alpha)


async def test_the_same_bytes_in_two_tenants_stay_two_objects(alpha: Tenant, beta: Tenant) -> None:
    same = b"the very same bytes, told apart by tenant"
    views = [
        (await one.owner.api.post(f"/v1/orgs/{one.org}/assets?filename=s.txt", data=same)).json
        for one in (alpha, beta)
    ]
    assert views[0]["sha256"] == views[1]["sha256"]
    assert alpha.org in views[0]["url"]
    assert beta.org in views[1]["url"]
    await beta.owner.api.delete(f"/v1/orgs/{beta.org}/assets/{views[1]['id']}")
    path = views[0]["url"]
    answer = await alpha.owner.api.get(path)
    assert (answer.status, answer.body) == (200, same)


async def test_the_status_of_a_command_is_its_senders_alone(alpha: Tenant, beta: Tenant) -> None:
    sent = await alpha.owner.api.post(
        f"/v1/orgs/{alpha.org}/brands",
        {"name": f"{alpha.marker} by command"},
        headers={"Prefer": "respond-async"},
    )
    assert sent.status == 202
    url = sent.json["status_url"]
    done = await eventually(
        lambda: alpha.owner.api.get(url), lambda a: a.json["status"] != "pending"
    )
    assert done.json["status"] == "succeeded"
    for other in (beta.owner, alpha.people["admin"]):
        answer = await other.api.get(url)
        assert answer.is_problem(404)["code"] == "command_unknown"
        assert_silent(answer, beta if other is not beta.owner else alpha)


async def test_a_session_of_somebody_else_cannot_be_ended(alpha: Tenant, beta: Tenant) -> None:
    session = alpha.owner.tokens["session_id"]
    (await beta.owner.api.delete(f"/v1/auth/sessions/{session}")).is_problem(404)
    assert (await alpha.owner.api.get("/v1/me")).status == 200
    listed = await beta.owner.api.get("/v1/auth/sessions")
    assert session not in listed.body.decode()


async def test_a_files_url_opens_that_file_alone(alpha: Tenant, beta: Tenant) -> None:
    url = alpha.asset_view["url"]
    assert (await beta.owner.api.as_(None).get(url)).status == 200
    assert alpha.org in url
    for forged in (
        url.replace(alpha.org, beta.org),
        url.replace("/blobs/", "/renditions/"),
        url.replace("type=image%2Fsvg%2Bxml", "type=text%2Fhtml"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        re.sub(r"expires=\d+", "expires=99999999999", url),
        url.partition("?")[0],
    ):
        assert forged != url
        assert (await beta.owner.api.get(forged)).is_problem(403)[
            "code"
        ] == "asset.file_url_invalid"


async def test_a_removed_member_is_out_at_once(api: Api, alpha: Tenant) -> None:
    person = await add_member(api, alpha, "editor")
    path = f"/v1/orgs/{alpha.org}"
    assert (await person.api.get(path)).status == 200
    removed = await alpha.owner.api.delete(f"{path}/members/{person.id}")
    assert removed.status == 204
    (await person.api.get(path)).is_problem(404)


async def test_a_weakened_member_is_weak_at_once(api: Api, alpha: Tenant) -> None:
    person = await add_member(api, alpha, "admin")
    path = f"/v1/orgs/{alpha.org}"
    assert (await person.api.post(f"{path}/brands", {"name": f"by {person.id}"})).status == 201
    changed = await alpha.owner.api.patch(f"{path}/members/{person.id}", {"role": "viewer"})
    assert (changed.status, changed.json["role"]) == (200, "viewer")
    (await person.api.post(f"{path}/brands", {"name": "no more"})).is_problem(403)


async def test_nobody_rises_above_their_own_role(alpha: Tenant) -> None:
    admin, members = alpha.people["admin"], f"/v1/orgs/{alpha.org}/members"
    for path, body in (
        (f"{members}/{admin.id}", {"role": "owner"}),
        (f"{members}/{alpha.owner.id}", {"role": "viewer"}),
    ):
        assert (await admin.api.patch(path, body)).is_problem(403)["code"] == "corp.role_too_high"
    (await admin.api.delete(f"{members}/{alpha.owner.id}")).is_problem(403)
    (await alpha.people["viewer"].api.delete(f"{members}/{admin.id}")).is_problem(403)
    last = await alpha.owner.api.delete(f"{members}/{alpha.owner.id}")
    assert last.is_problem(409)["code"] == "corp.last_owner"


async def test_a_deleted_organization_takes_everything_with_it(api: Api) -> None:
    gone = await new_tenant(api, "Gone")
    owner, path = gone.owner.api, f"/v1/orgs/{gone.org}"
    (await owner.delete(path)).is_problem(409)
    for kind, id in (("projects", gone.project), ("brands", gone.brand)):
        assert (await owner.delete(f"{path}/{kind}/{id}")).status == 204
    assert (await owner.delete(path)).status == 204
    for route in IN_ORG:
        answer = await ask(route, owner, address(route, gone))
        assert answer.is_problem(404)["code"] == "corp.organization_not_found"
    assert (await owner.get("/v1/me")).json["memberships"] == []
    file = gone.asset_view["url"]
    await eventually(lambda: owner.get(file), lambda answer: answer.status == 404)


async def test_registering_a_taken_address_says_nothing(
    api: Api, alpha: Tenant, stack: RunningStack
) -> None:
    taken: Person = alpha.owner
    body = {"email": taken.email.upper(), "password": "another-password-77", "name": "Impostor"}
    again = await api.post("/v1/auth/register", body)
    fresh = await api.post("/v1/auth/register", {**body, "email": "fresh." + taken.email})
    assert again.status == fresh.status == 202
    assert again.json == {"email": taken.email}
    wrong = await api.post(
        "/v1/auth/sessions", {"email": taken.email, "password": body["password"]}
    )
    nobody = await api.post(
        "/v1/auth/sessions", {"email": "nobody@example.com", "password": body["password"]}
    )
    assert {**wrong.is_problem(401), "request_id": ""} == {
        **nobody.is_problem(401),
        "request_id": "",
    }
    assert (await taken.api.get("/v1/me")).json["name"] != "Impostor"


async def test_sessions_end_where_their_owner_says_so(api: Api) -> None:
    person = await new_person(api, "Two places")
    second = (
        await api.post("/v1/auth/sessions", {"email": person.email, "password": person.password})
    ).json
    listed = (await person.api.get("/v1/auth/sessions")).json["items"]
    assert [each["current"] for each in listed].count(True) == 1
    assert {each["id"] for each in listed} == {second["session_id"], person.tokens["session_id"]}
    gone = await person.api.delete(f"/v1/auth/sessions/{second['session_id']}")
    assert gone.status == 204
    other = api.as_(second["access_token"])
    answer = await eventually(lambda: other.get("/v1/me"), lambda a: a.status == 401, within=5)
    assert answer.code == "auth.session_ended"
    refreshed = await api.post(
        "/v1/auth/sessions/refresh", {"refresh_token": second["refresh_token"]}
    )
    refreshed.is_problem(401)
    assert (await person.api.get("/v1/me")).status == 200
    assert (await person.api.delete("/v1/auth/sessions")).status == 204
    await eventually(lambda: person.api.get("/v1/me"), lambda a: a.status == 401, within=5)
