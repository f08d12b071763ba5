"""API keys: made, shown once, used by services and producers, rotated, revoked."""

from __future__ import annotations

import asyncio
import json
import secrets
from datetime import timedelta
from typing import Any

import pytest
from gateway_client import Answer, Api, Tenant, feed_of, new_person, new_tenant
from gateway_stack import eventually
from pymongo import AsyncMongoClient

from contracts.types import now, rfc3339
from infra.api_keys import id_in, new_key
from infra.embedded.running import RunningStack


def keys_of(tenant: Tenant) -> str:
    return f"/v1/orgs/{tenant.org}/api-keys"


async def make(tenant: Tenant, *scopes: str, **more: Any) -> dict[str, Any]:
    """A new key's view, with its secret."""
    body = {"name": "shop", "scopes": list(scopes), **more}
    made = await tenant.owner.api.post(keys_of(tenant), body)
    assert made.status == 201, str(made)
    view: dict[str, Any] = made.json
    assert made.headers["Location"] == f"{keys_of(tenant)}/{view['id']}"
    assert made.headers["Cache-Control"] == "no-store"
    return view


def cloud_event(**more: Any) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": secrets.token_hex(6),
            "source": "/shop",
            "type": "custom.price.changed",
            "data": {"price": 3},
            **more,
        }
    ).encode()


async def produce(api: Api, tenant: Tenant, event: bytes, **headers: str) -> Answer:
    more = {"Content-Type": "application/cloudevents+json", **headers}
    return await api.post(f"/v1/orgs/{tenant.org}/events", data=event, headers=more)


async def test_a_keys_secret_is_shown_once_and_stored_nowhere(
    alpha: Tenant, stack: RunningStack
) -> None:
    view = await make(alpha, "asset:read")
    secret = view.pop("key")
    assert secret.startswith(view["prefix"] + "_")
    assert view["prefix"].startswith("g8k_")
    assert id_in(secret) == view["id"]
    assert (view["status"], view["created_by"]) == ("active", alpha.owner.id)
    for path in (keys_of(alpha), f"{keys_of(alpha)}/{view['id']}"):
        shown = await alpha.owner.api.get(path)
        assert shown.status == 200, str(shown)
        assert "key" not in shown.json
        assert secret[-49:] not in shown.body.decode()
    async with AsyncMongoClient(stack.mongo_url) as client:
        database = client["gateway_tests"]
        for name in await database.list_collection_names():
            async for document in database[name].find():
                assert secret[-49:] not in repr(document), name
    for path in stack.logs.glob("*.log"):
        assert secret[-49:] not in path.read_text(errors="replace")


async def test_a_producer_posts_events_and_nothing_else(alpha: Tenant, api: Api) -> None:
    view = await make(alpha, "events:write")
    producer, event = api.as_(view["key"]), cloud_event()
    sent = await produce(producer, alpha, event)
    assert sent.status == 202, str(sent)
    again = await produce(producer, alpha, event)
    assert again.json["items"][0]["repeated"] is True
    for path in ("assets", "brands", "events", "members", "api-keys"):
        answer = await producer.get(f"/v1/orgs/{alpha.org}/{path}")
        assert answer.is_problem(403)["code"] == "permission_missing"
    logged = sent.json["items"][0]["event_id"]
    (mine,) = [each for each in await feed_of(alpha) if each["id"] == logged]
    assert mine["actor"] == view["id"]


async def test_a_service_uploads_and_reads(alpha: Tenant, api: Api) -> None:
    view = await make(alpha, "asset:write", "asset:read")
    service = api.as_(view["key"])
    made = await service.post(f"/v1/orgs/{alpha.org}/assets?filename=a.txt", data=b"by a service")
    assert made.status == 201, str(made)
    path = f"/v1/orgs/{alpha.org}/assets/{made.json['id']}"
    assert (await service.get(path)).status == 200
    renamed = await service.patch(path, {"name": "renamed"}, headers={"Prefer": "respond-async"})
    assert renamed.status == 202, str(renamed)
    url = renamed.json["status_url"]
    done = await eventually(lambda: service.get(url), lambda a: a.json["status"] != "pending")
    assert done.json["result"]["name"] == "renamed"
    (await alpha.owner.api.get(url)).is_problem(404)
    (await service.delete(path)).is_problem(403)
    told = [each for each in await feed_of(alpha) if each.get("subject") == made.json["id"]]
    assert told
    assert {each["actor"] for each in told} == {view["id"]}


async def test_idempotency_keys_are_each_keys_own(alpha: Tenant, api: Api) -> None:
    one, two = [api.as_((await make(alpha, "brand:write", "brand:read"))["key"]) for _ in "ab"]
    header = {"Idempotency-Key": secrets.token_hex(8)}
    first = await one.post(f"/v1/orgs/{alpha.org}/brands", {"name": "one's"}, headers=header)
    again = await one.post(f"/v1/orgs/{alpha.org}/brands", {"name": "one's"}, headers=header)
    other = await two.post(f"/v1/orgs/{alpha.org}/brands", {"name": "two's"}, headers=header)
    assert (first.status, other.status) == (201, 201), f"{first}\n{other}"
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json != other.json


async def test_creating_a_key_again_with_its_idempotency_key_shows_the_same(alpha: Tenant) -> None:
    header = {"Idempotency-Key": secrets.token_hex(8), "Prefer": "respond-async"}
    body = {"name": "twice", "scopes": ["asset:read"]}
    first = await alpha.owner.api.post(keys_of(alpha), body, headers=header)
    again = await alpha.owner.api.post(keys_of(alpha), body, headers=header)
    assert first.status == again.status == 201, "a status URL could not show the secret"
    assert first.json == again.json


async def test_a_rotated_key_is_good_for_the_grace_and_its_successor_at_once(
    alpha: Tenant, api: Api
) -> None:
    view = await make(alpha, "asset:read")
    path = f"/v1/orgs/{alpha.org}/assets"
    old = api.as_(view["key"])
    assert (await old.get(path)).status == 200
    rotated = await alpha.owner.api.post(f"{keys_of(alpha)}/{view['id']}/rotate", {"grace": 3})
    assert rotated.status == 200, str(rotated)
    assert (rotated.json["id"], rotated.json["prefix"]) == (view["id"], view["prefix"])
    assert rotated.json["previous_valid_until"]
    new = api.as_(rotated.json["key"])
    assert [(await each.get(path)).status for each in (new, old)] == [200, 200]
    gone = await eventually(lambda: old.get(path), lambda a: a.status == 401, within=10)
    assert gone.code == "auth.key_rotated"
    assert (await new.get(path)).status == 200
    at_once = await alpha.owner.api.post(f"{keys_of(alpha)}/{view['id']}/rotate", {"grace": 0})
    await eventually(lambda: new.get(path), lambda a: a.status == 401, within=5)
    assert (await api.as_(at_once.json["key"]).get(path)).status == 200


async def test_a_revoked_key_ends_on_every_gateway(
    alpha: Tenant, api: Api, stack: RunningStack
) -> None:
    view = await make(alpha, "asset:read")
    path = f"/v1/orgs/{alpha.org}/assets"
    gateways = [api.as_(view["key"]), Api(api._http, stack_small(stack), view["key"])]
    for each in gateways:
        assert (await each.get(path)).status == 200
    stale = await alpha.owner.api.delete(
        f"{keys_of(alpha)}/{view['id']}", headers={"If-Match": '"7"'}
    )
    assert stale.is_problem(412)["code"] == "revision_mismatch"
    assert (await alpha.owner.api.delete(f"{keys_of(alpha)}/{view['id']}")).status == 204
    at_once = await gateways[0].get(path)
    assert at_once.is_problem(401)["code"] == "auth.token_invalid", "though it was believed"
    for each in gateways:
        end = await eventually(
            lambda each=each: each.get(path), lambda a: a.status == 401, within=5
        )  # type: ignore[misc]
        assert end.code == "auth.token_invalid"
    (await alpha.owner.api.get(f"{keys_of(alpha)}/{view['id']}")).is_problem(404)
    (await alpha.owner.api.delete(f"{keys_of(alpha)}/{view['id']}")).is_problem(404)


def stack_small(stack: RunningStack) -> str:
    """The second gateway."""
    return stack.process("gateway-small").process.shown


async def test_an_expired_key_says_so(alpha: Tenant, api: Api) -> None:
    view = await make(alpha, "asset:read", expires_at=rfc3339(now() + timedelta(seconds=2)))
    service, path = api.as_(view["key"]), f"/v1/orgs/{alpha.org}/assets"
    assert (await service.get(path)).status == 200
    end = await eventually(lambda: service.get(path), lambda a: a.status != 200, within=10)
    assert end.is_problem(401)["code"] == "auth.key_expired"
    shown = await alpha.owner.api.get(f"{keys_of(alpha)}/{view['id']}")
    assert shown.json["status"] == "expired"


async def test_the_last_use_is_shown(alpha: Tenant, api: Api) -> None:
    view = await make(alpha, "asset:read")
    path = f"{keys_of(alpha)}/{view['id']}"
    assert (await alpha.owner.api.get(path)).json["last_used_at"] is None
    assert (await api.as_(view["key"]).get(f"/v1/orgs/{alpha.org}/assets")).status == 200
    used = await eventually(lambda: alpha.owner.api.get(path), lambda a: a.json["last_used_at"])
    assert used.json["last_used_address"] == "127.0.0.1"
    revalidated = await alpha.owner.api.get(path, headers={"If-None-Match": used.headers["ETag"]})
    assert revalidated.status == 200, "the revision does not tell of a use"
    listed = await alpha.owner.api.get(f"{keys_of(alpha)}?limit=200")
    assert [k["last_used_at"] for k in listed.json["items"] if k["id"] == view["id"]] == [
        used.json["last_used_at"]
    ]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["asset:fly"]}, "/scopes/0"),
        ({"scopes": ["asset:read", "apikey:write"]}, "/scopes"),
        ({"scopes": ["member:write"]}, "/scopes"),
        ({"scopes": ["organization:transfer"]}, "/scopes"),
        ({"scopes": "asset:read"}, "/scopes"),
        ({"scopes": ["asset:read"] * 100}, "/scopes"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 1_000}, "/name"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2999-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2027-01-01T00:00:00"}, "/expires_at"),
        ({"expires_at": 1}, "/expires_at"),
        ({"role": "owner"}, "/role"),
    ],
)
async def test_a_key_that_cannot_be_is_refused(
    alpha: Tenant, change: dict[str, Any], pointer: str
) -> None:
    body = {"name": "x", "scopes": ["asset:read"], **change}
    answer = await alpha.owner.api.post(keys_of(alpha), body)
    assert answer.is_problem(422)["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("grace", [-1, 604_801, "60", 1.5, None])
async def test_a_grace_that_cannot_be_is_refused(alpha: Tenant, grace: object) -> None:
    view = await make(alpha, "asset:read")
    answer = await alpha.owner.api.post(f"{keys_of(alpha)}/{view['id']}/rotate", {"grace": grace})
    assert answer.is_problem(422)["errors"][0]["pointer"] == "/grace"


async def test_whoever_may_not_write_keys_makes_none_and_rotates_none(alpha: Tenant) -> None:
    view = await make(alpha, "asset:read")
    for role in ("editor", "viewer"):
        api = alpha.people[role].api
        (await api.post(keys_of(alpha), {"name": "x", "scopes": ["asset:read"]})).is_problem(403)
        (await api.post(f"{keys_of(alpha)}/{view['id']}/rotate")).is_problem(403)
        (await api.get(keys_of(alpha))).is_problem(403)


async def test_what_is_nearly_a_key_is_refused(alpha: Tenant, beta: Tenant, api: Api) -> None:
    real = (await make(alpha, "asset:read"))["key"]
    swapped = real[:40] + ("a" if real[40] != "a" else "b") + real[41:]
    wrong = [
        swapped,
        real[:-1],
        real + "0",
        real.upper(),
        "g8k_",
        "g8k_" + "0" * 76,
        new_key(id_in(real) or ""),
        new_key("key_" + "0" * 26),
        "g8k_" + "é" * 20,
        real.replace("g8k_", "g8r_"),
    ]
    for text in wrong:
        answer = await api.get(
            f"/v1/orgs/{alpha.org}/assets", headers={"Authorization": f"Bearer {text}"}
        )
        assert answer.is_problem(401)["code"] == "auth.token_invalid", text
    assert (await api.as_(real).get(f"/v1/orgs/{alpha.org}/assets")).status == 200
    (await api.as_(real).get(f"/v1/orgs/{beta.org}/assets")).is_problem(404)


async def test_another_tenants_key_is_unknown(alpha: Tenant, beta: Tenant) -> None:
    view = await make(alpha, "asset:read")
    path = f"{keys_of(beta)}/{view['id']}"
    (await beta.owner.api.get(path)).is_problem(404)
    (await beta.owner.api.delete(path)).is_problem(404)
    assert (await beta.owner.api.post(f"{path}/rotate")).is_problem(404)["code"] == (
        "auth.key_not_found"
    )


async def test_the_keys_of_a_deleted_organization_are_dead_at_once(api: Api) -> None:
    gone = await new_tenant(api, "Keyless")
    view = await make(gone, "asset:read", "realtime:subscribe")
    service, path = api.as_(view["key"]), f"/v1/orgs/{gone.org}"
    assert (await service.get(f"{path}/assets")).status == 200
    for kind, id in (("projects", gone.project), ("brands", gone.brand)):
        assert (await gone.owner.api.delete(f"{path}/{kind}/{id}")).status == 204
    assert (await gone.owner.api.delete(path)).status == 204
    (await service.get(f"{path}/assets")).is_problem(401, 404)
    await eventually(lambda: service.get(f"{path}/assets"), lambda a: a.status == 401)


async def test_a_key_sees_its_organization_without_a_role(alpha: Tenant, api: Api) -> None:
    view = await make(alpha, "organization:read")
    shown = await api.as_(view["key"]).get(f"/v1/orgs/{alpha.org}")
    assert (shown.status, shown.json["role"]) == (200, None), str(shown)


async def test_many_rotations_at_once_leave_one_that_is_good(alpha: Tenant, api: Api) -> None:
    view = await make(alpha, "asset:read")
    path = f"{keys_of(alpha)}/{view['id']}"
    answers = await asyncio.gather(
        *(alpha.owner.api.post(f"{path}/rotate", {"grace": 0}) for _ in range(8))
    )
    assert {each.status for each in answers} == {200}
    last = max(answers, key=lambda each: each.json["revision"]).json
    assert last["revision"] == 9
    assets = f"/v1/orgs/{alpha.org}/assets"
    assert (await api.as_(last["key"]).get(assets)).status == 200
    stale = await alpha.owner.api.post(f"{path}/rotate", headers={"If-Match": '"1"'})
    stale.is_problem(412)


async def test_the_sockets_of_a_key_end_with_it(alpha: Tenant, api: Api) -> None:
    view = await make(alpha, "realtime:subscribe")
    ticket = await api.as_(view["key"]).post(f"/v1/orgs/{alpha.org}/realtime/tickets")
    assert ticket.status == 201, str(ticket)
    url = f"{ticket.json['ws_url']}?ticket={ticket.json['ticket']}"
    async with api._http.ws_connect(url) as socket:
        await socket.send_json({"op": "subscribe", "channel": "me"})
        refused = await socket.receive_json(timeout=10)
        assert (refused["op"], refused["code"]) == ("error", "realtime.channel_unknown")
        await socket.send_json({"op": "subscribe", "channel": "org"})
        assert (await socket.receive_json(timeout=10))["op"] == "subscribed"
        assert (await alpha.owner.api.delete(f"{keys_of(alpha)}/{view['id']}")).status == 204
        async with asyncio.timeout(5):
            while not (await socket.receive()).type.name.startswith("CLOS"):
                pass
        assert socket.close_code == 4001


async def test_a_key_outlives_whoever_made_it(alpha: Tenant, api: Api) -> None:
    person = await new_person(api, "Temporary admin")
    members = f"/v1/orgs/{alpha.org}/members"
    added = await alpha.owner.api.post(members, {"email": person.email, "role": "admin"})
    assert added.status == 201, str(added)
    made = await person.api.post(keys_of(alpha), {"name": "left", "scopes": ["asset:read"]})
    assert (await alpha.owner.api.delete(f"{members}/{person.id}")).status == 204
    assert (await api.as_(made.json["key"]).get(f"/v1/orgs/{alpha.org}/assets")).status == 200
