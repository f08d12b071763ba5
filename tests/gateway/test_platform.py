"""Platform admins: who they see, whom they suspend, and in whose name they act."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from gateway_client import Answer, Api, Person, Tenant, feed_of, new_person, new_tenant, sign_in
from gateway_stack import eventually
from pymongo import AsyncMongoClient

from contracts.permissions import PlatformRole
from infra.embedded.running import RunningStack

USERS = "/v1/admin/users"


@pytest.fixture
def admin(platform: dict[PlatformRole | None, Person]) -> Person:
    return platform[PlatformRole.ADMIN]


async def another_admin(api: Api, admin: Person, name: str) -> Person:
    person = await new_person(api, name)
    made = await admin.api.patch(f"{USERS}/{person.id}", {"platform_role": "admin"})
    assert made.json["platform_role"] == "admin", str(made)
    return person


async def change(admin: Person, user: Person, **body: Any) -> Answer:
    return await admin.api.patch(f"{USERS}/{user.id}", body)


async def test_users_are_found(api: Api, admin: Person) -> None:
    person = await new_person(api, "Findable")
    exact = await admin.api.get(f"{USERS}?email={person.email.upper()}")
    assert [each["id"] for each in exact.json["items"]] == [person.id]
    assert set(exact.json["items"][0]) == {
        "id", "email", "name", "verified", "status", "suspended_at", "platform_role",
        "created_at", "revision",
    }  # fmt: skip
    begun = await admin.api.get(f"{USERS}?email=findable.*&status=active")
    assert person.id in [each["id"] for each in begun.json["items"]]
    assert (await admin.api.get(f"{USERS}?email=.*")).json["items"] == [], "no pattern but the end"
    admins = await admin.api.get(f"{USERS}?platform_role=admin&limit=200")
    assert admin.id in [each["id"] for each in admins.json["items"]]
    assert {each["platform_role"] for each in admins.json["items"]} == {"admin"}
    one = await admin.api.get(f"{USERS}/{person.id}")
    assert one.json == exact.json["items"][0]
    assert one.headers["ETag"] == f'"{one.json["revision"]}"'
    for wrong in ("status=asleep", "platform_role=owner", "email=", "name=x"):
        (await admin.api.get(f"{USERS}?{wrong}")).is_problem(422)


async def test_a_suspended_user_is_out_everywhere_until_reinstated(
    api: Api, admin: Person, stack: RunningStack
) -> None:
    person = await new_person(api, "Suspended")
    tenant_api = person.api
    org = (await tenant_api.post("/v1/orgs", {"name": "Of the suspended"})).json["id"]
    ticket = (await tenant_api.post(f"/v1/orgs/{org}/realtime/tickets")).json
    async with api._http.ws_connect(f"{ticket['ws_url']}?ticket={ticket['ticket']}") as socket:
        done = await change(admin, person, status="suspended", reason="spam")
        assert (done.status, done.json["status"]) == (200, "suspended"), str(done)
        out = await eventually(
            lambda: tenant_api.get("/v1/me"), lambda a: a.status == 401, within=5
        )
        assert out.code == "auth.session_ended"
        async with asyncio.timeout(5):
            while not (await socket.receive()).type.name.startswith("CLOS"):
                pass
        assert socket.close_code == 4001
    refreshed = await api.post(
        "/v1/auth/sessions/refresh", {"refresh_token": person.tokens["refresh_token"]}
    )
    refreshed.is_problem(401)
    again = await sign_in(api, person.email)
    assert again.is_problem(401)["code"] == "auth.user_suspended"
    wrong = await sign_in(api, person.email, "not-the-password-7")
    assert wrong.is_problem(401)["code"] == "auth.credentials_wrong"
    suspended = await admin.api.get(f"{USERS}?status=suspended&limit=200")
    assert person.id in [each["id"] for each in suspended.json["items"]]
    back = await change(admin, person, status="active")
    assert (back.status, back.json["status"]) == (200, "active")
    assert (await sign_in(api, person.email)).status == 201
    types = await events_about(stack, person.id)
    assert [
        each["type"] for each in types if "suspend" in each["type"] or "reinst" in each["type"]
    ] == [
        "auth.user.suspended",
        "auth.user.reinstated",
    ]
    assert {each["actor"] for each in types if each["type"] == "auth.user.suspended"} == {admin.id}


async def events_about(stack: RunningStack, user: str) -> list[dict[str, Any]]:
    async with AsyncMongoClient(stack.mongo_url) as client:
        log = client["gateway_tests"]["events"]
        return await log.find({"subject": user}).sort("_id").to_list()


async def test_suspending_while_somebody_signs_in_leaves_no_session(
    api: Api, admin: Person
) -> None:
    for number in range(3):
        person = await new_person(api, f"Racing {number}")
        signed, *_ = await asyncio.gather(
            asyncio.gather(*(sign_in(api, person.email) for _ in range(6))),
            change(admin, person, status="suspended"),
        )
        for each in signed:
            if each.status == 201:
                own = api.as_(each.json["access_token"])
                await eventually(
                    lambda own=own: own.get("/v1/me"),  # type: ignore[misc]
                    lambda a: a.status == 401,
                    within=5,
                )
            else:
                assert each.code == "auth.user_suspended", str(each)


async def test_nobody_changes_their_own_account_and_an_admin_always_remains(
    api: Api, admin: Person
) -> None:
    for body in ({"status": "suspended"}, {"platform_role": None}, {"platform_role": "support"}):
        answer = await change(admin, admin, **body)
        assert answer.is_problem(409)["code"] == "auth.not_yourself"
    one, two = await another_admin(api, admin, "One"), await another_admin(api, admin, "Two")
    answers = await asyncio.gather(
        change(one, two, platform_role=None), change(two, one, platform_role=None)
    )
    assert sorted(each.status for each in answers) == [200, 403], "one is demoted, and not both"
    three, four = await another_admin(api, admin, "Three"), await another_admin(api, admin, "Four")
    answers = await asyncio.gather(
        change(three, four, status="suspended"), change(four, three, status="suspended")
    )
    assert sorted(each.status for each in answers)[0] == 200
    assert sorted(each.status for each in answers)[1] in (401, 403)


async def test_a_demoted_admin_is_one_no_more_at_once(api: Api, admin: Person) -> None:
    other = await another_admin(api, admin, "Demoted")
    assert (await other.api.get(USERS)).status == 200
    assert (await change(admin, other, platform_role="support")).status == 200
    assert (await other.api.get(USERS)).status == 200, "support may look"
    (await change(other, admin, status="suspended")).is_problem(403)
    assert (await change(admin, other, platform_role=None)).status == 200
    (await other.api.get(USERS)).is_problem(403)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"status": "deleted"}, "/status"),
        ({"status": None}, "/status"),
        ({"platform_role": "owner"}, "/platform_role"),
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"email": "a@example.com"}, "/email"),
    ],
)
async def test_a_change_that_cannot_be_is_refused(
    api: Api, admin: Person, alpha: Tenant, body: dict[str, Any], pointer: str
) -> None:
    answer = await change(admin, alpha.owner, **body)
    assert answer.is_problem(422)["errors"][0]["pointer"] == pointer


async def test_a_change_honours_the_revision(api: Api, admin: Person) -> None:
    person = await new_person(api, "Revised")
    path = f"{USERS}/{person.id}"
    stale = await admin.api.patch(path, {"status": "suspended"}, headers={"If-Match": '"9"'})
    assert stale.is_problem(412)["code"] == "revision_mismatch"
    (await admin.api.patch(path, {})).is_problem(422)
    (await admin.api.patch(f"{USERS}/usr_{'0' * 26}", {"status": "active"})).is_problem(404)


async def test_an_admin_signs_somebody_out_everywhere(api: Api, admin: Person) -> None:
    person = await new_person(api, "Signed out")
    assert (await admin.api.delete(f"{USERS}/{person.id}/sessions")).status == 204
    await eventually(lambda: person.api.get("/v1/me"), lambda a: a.status == 401, within=5)
    assert (await sign_in(api, person.email)).status == 201


async def impersonate(admin: Person, user: Person, reason: str = "a ticket") -> Answer:
    return await admin.api.post(f"{USERS}/{user.id}/impersonation", {"reason": reason})


async def test_impersonation_is_marked_in_whatever_it_does(
    api: Api, admin: Person, stack: RunningStack
) -> None:
    tenant = await new_tenant(api, "Impersonated")
    made = await impersonate(admin, tenant.owner, "cannot see a brand")
    assert made.status == 201, str(made)
    assert set(made.json) == {"access_token", "token_type", "expires_in", "session_id"}
    assert made.headers["Cache-Control"] == "no-store"
    acting = api.as_(made.json["access_token"])
    me = await acting.get("/v1/me")
    assert (me.json["id"], me.json["impersonator"]) == (tenant.owner.id, admin.id)
    assert (await tenant.owner.api.get("/v1/me")).json["impersonator"] is None
    brand = await acting.post(f"/v1/orgs/{tenant.org}/brands", {"name": "by support"})
    assert brand.status == 201, str(brand)
    by = {each["subject"]: each.get("impersonator") for each in await feed_of(tenant)}
    assert by[brand.json["id"]] == admin.id
    assert by[tenant.brand] is None
    listed = (await tenant.owner.api.get("/v1/auth/sessions")).json["items"]
    marked = {each["id"]: each["impersonator"] for each in listed}
    assert marked == {made.json["session_id"]: admin.id, tenant.owner.tokens["session_id"]: None}
    told = [e for e in await events_about(stack, tenant.owner.id) if "impersonated" in e["type"]]
    assert [(e["actor"], e["data"]["reason"]) for e in told] == [(admin.id, "cannot see a brand")]
    # The user, too, may end it.
    gone = await tenant.owner.api.delete(f"/v1/auth/sessions/{made.json['session_id']}")
    assert gone.status == 204
    await eventually(lambda: acting.get("/v1/me"), lambda a: a.status == 401, within=5)


async def test_whoever_impersonates_ends_that_session_and_no_other(api: Api, admin: Person) -> None:
    person = await new_person(api, "Looked at")
    made = (await impersonate(admin, person)).json
    acting = api.as_(made["access_token"])
    other = await acting.delete(f"/v1/auth/sessions/{person.tokens['session_id']}")
    assert other.is_problem(403)["code"] == "auth.not_while_impersonating"
    assert (await acting.delete(f"/v1/auth/sessions/{made['session_id']}")).status == 204
    await eventually(lambda: acting.get("/v1/me"), lambda a: a.status == 401, within=5)
    assert (await person.api.get("/v1/me")).status == 200


async def test_who_cannot_be_impersonated(
    api: Api, admin: Person, platform: dict[PlatformRole | None, Person]
) -> None:
    support, nobody = platform[PlatformRole.SUPPORT], platform[None]
    assert (await impersonate(admin, support)).is_problem(403)["code"] == (
        "auth.impersonation_refused"
    )
    assert (await impersonate(admin, admin)).is_problem(409)["code"] == "auth.not_yourself"
    assert (await impersonate(support, nobody)).is_problem(403)["code"] == "permission_missing"
    person = await new_person(api, "Suspended too")
    assert (await change(admin, person, status="suspended")).status == 200
    assert (await impersonate(admin, person)).is_problem(403)["code"] == (
        "auth.impersonation_refused"
    )
    (await impersonate(admin, nobody, " ")).is_problem(422)
    (await admin.api.post(f"{USERS}/{nobody.id}/impersonation", {})).is_problem(422)


async def test_impersonation_ends_when_the_admin_is_demoted_or_suspended(
    api: Api, admin: Person
) -> None:
    for body in ({"platform_role": None}, {"platform_role": "support"}, {"status": "suspended"}):
        other = await another_admin(api, admin, "Passing")
        person = await new_person(api, "Passed by")
        acting = api.as_((await impersonate(other, person)).json["access_token"])
        assert (await acting.get("/v1/me")).status == 200
        assert (await change(admin, other, **body)).status == 200
        await eventually(
            lambda acting=acting: acting.get("/v1/me"),  # type: ignore[misc]
            lambda a: a.status == 401,
            within=5,
        )
        assert (await person.api.get("/v1/me")).status == 200


async def test_whoever_impersonates_an_owner_leaves_no_way_in(api: Api, admin: Person) -> None:
    tenant = await new_tenant(api, "Kept")
    acting = api.as_((await impersonate(admin, tenant.owner)).json["access_token"])
    org = f"/v1/orgs/{tenant.org}"
    for method, path, body in (
        ("POST", f"{org}/api-keys", {"name": "x", "scopes": ["asset:read"]}),
        ("POST", f"{org}/members", {"email": admin.email, "role": "owner"}),
        ("POST", f"{org}/brands/{tenant.brand}/roles", {"holder": admin.id, "role": "admin"}),
        ("PATCH", f"{org}/brands/{tenant.brand}/roles/{admin.id}", {"role": "admin"}),
        ("DELETE", f"{org}/brands/{tenant.brand}/roles/{admin.id}", None),
        ("DELETE", org, None),
        ("PATCH", "/v1/me", {"name": "x"}),
        ("DELETE", "/v1/auth/sessions", None),
        ("GET", USERS, None),
    ):
        answer = await acting(method, path, body)
        assert answer.is_problem(403)["code"] == "auth.not_while_impersonating", path
