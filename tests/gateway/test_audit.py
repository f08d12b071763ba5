"""Who did what: the log of an organization and one's own, newest first, without secrets."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gateway_client import Api, Tenant, new_person, new_tenant, sign_in
from pymongo import AsyncMongoClient

from bus.audit import AuditFilter, plan, read_audit, without_secrets
from bus.documents import EVENTS, Database, ensure_bus_indexes
from contracts import sealed
from contracts.types import new_id
from infra.embedded.running import RunningStack


@pytest.fixture(scope="module")
async def database(stack: RunningStack) -> AsyncIterator[Database]:
    async with AsyncMongoClient[dict[str, Any]](stack.mongo_url, tz_aware=True) as client:
        yield client["gateway_tests"]


@pytest.fixture(scope="module")
async def tenant(api: Api) -> Tenant:
    return await new_tenant(api, "Audited")


def url(tenant: Tenant, **filters: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return f"/v1/orgs/{tenant.org}/audit?{query}"


async def entries(tenant: Tenant, **filters: str) -> list[dict[str, Any]]:
    answer = await tenant.owner.api.get(url(tenant, **filters))
    assert answer.status == 200, str(answer)
    items: list[dict[str, Any]] = answer.json["items"]
    return items


async def log(database: Database, **event: Any) -> str:
    """Put an event into the log as the committer does."""
    id = new_id("evt")
    at = datetime.now(UTC).replace(microsecond=0)
    await database[EVENTS].insert_one(
        {
            "_id": id,
            "specversion": "1.0",
            "source": "/grid8/corp",
            "datacontenttype": "application/json",
            "dataversion": 1,
            "time": at,
            "logged": time.time_ns() // 1000,
            "data": {},
            **event,
        }
    )
    return id


async def test_an_entry_says_who_did_what_when_and_from_where(tenant: Tenant) -> None:
    made = await tenant.owner.api.post(
        f"/v1/orgs/{tenant.org}/brands",
        {"name": "Looked at"},
        headers={"X-Request-Id": "audited-request"},
    )
    [entry] = await entries(tenant, subject=made.json["id"])
    assert entry["type"] == "corp.brand.created"
    assert entry["actor"] == tenant.owner.id
    assert entry["role"] == "owner"
    assert entry["session"] == tenant.owner.tokens["session_id"]
    assert entry["address"] == "127.0.0.1"
    assert entry["correlation_id"] == "audited-request"
    assert entry["impersonator"] is None
    assert (entry["org"], entry["revision"]) == (tenant.org, 1)
    assert entry["data"]["name"] == "Looked at"
    assert entry["time"] <= entry["logged_at"]


async def test_pages_run_from_the_newest_to_the_oldest(tenant: Tenant) -> None:
    for number in range(6):
        await tenant.owner.api.post(f"/v1/orgs/{tenant.org}/brands", {"name": f"Paged {number}"})
    whole = await entries(tenant, limit="200")
    assert [each["logged_at"] for each in whole] == sorted(
        (each["logged_at"] for each in whole), reverse=True
    )
    paged: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    while True:
        page = (await tenant.owner.api.get(url(tenant, limit="2", **more))).json
        assert len(page["items"]) <= 2
        paged += page["items"]
        if page["next_cursor"] is None:
            break
        more = {"cursor": page["next_cursor"]}
        # What is new is before the first page, so it moves nothing.
        await tenant.owner.api.post(f"/v1/orgs/{tenant.org}/brands", {"name": secrets.token_hex(4)})
    assert [each["id"] for each in paged] == [each["id"] for each in whole]


async def test_filters_leave_what_was_asked_for(
    tenant: Tenant, database: Database, api: Api
) -> None:
    admin = await new_person(api, "Audit admin")
    added = await tenant.owner.api.post(
        f"/v1/orgs/{tenant.org}/members", {"email": admin.email, "role": "admin"}
    )
    assert added.status == 201
    made = await admin.api.post(f"/v1/orgs/{tenant.org}/brands", {"name": "By the admin"})
    assert [each["subject"] for each in await entries(tenant, actor=admin.id)] == [made.json["id"]]
    brands = await entries(tenant, type="corp.brand.created", limit="200")
    assert {each["type"] for each in brands} == {"corp.brand.created"}
    corp = {each["type"] for each in await entries(tenant, type="corp.*", limit="200")}
    assert {"corp.brand.created", "corp.member.added", "corp.project.created"} <= corp
    assert all(each.startswith("corp.") for each in corp)
    assert await entries(tenant, type="corp.brand.created", actor="usr_nobody") == []
    sent = {"specversion": "1.0", "id": "1", "source": "/x", "type": "custom.shop.opened"}
    await tenant.owner.api.post(
        f"/v1/orgs/{tenant.org}/events",
        {**sent, "data": {"sku": 1}},
        headers={"Content-Type": "application/cloudevents+json"},
    )
    for wanted in ("custom.*", "custom.shop.*", "custom.shop.opened"):
        assert [each["type"] for each in await entries(tenant, type=wanted)] == [sent["type"]]
    middle = brands[1]["logged_at"]
    newer = await entries(tenant, since=middle, type="corp.brand.created", limit="200")
    older = await entries(tenant, until=middle, type="corp.brand.created", limit="200")
    assert {each["id"] for each in newer + older} == {each["id"] for each in brands}
    assert not {each["id"] for each in newer} & {each["id"] for each in older}
    assert await entries(tenant, since=middle, until=middle) == []
    id = await log(
        database, org=tenant.org, type="corp.brand.updated", subject="brd_x",
        actor=tenant.owner.id, impersonator="usr_support",
    )  # fmt: skip
    [as_somebody] = await entries(tenant, impersonated="true")
    assert (as_somebody["id"], as_somebody["impersonator"]) == (id, "usr_support")
    rest = await entries(tenant, impersonated="false", limit="200")
    assert rest
    assert id not in {each["id"] for each in rest}


async def test_an_organization_is_not_shown_what_is_private(
    tenant: Tenant, database: Database
) -> None:
    hidden = [
        await log(database, org=tenant.org, type=type, subject="ses_x", actor="usr_hidden")
        for type in ("auth.session.opened", "auth.future.invented", "mail.message.sent")
    ]
    shown = {each["id"] for each in await entries(tenant, limit="200")}
    assert not shown & set(hidden)
    for filters in (
        {"actor": "usr_hidden"},
        {"subject": "ses_x"},
        {"type": "auth.*"},
        {"type": "auth.session.opened"},
        {"type": "auth.future.invented"},
    ):
        assert await entries(tenant, **filters) == []


async def test_no_secret_is_ever_shown(tenant: Tenant, database: Database) -> None:
    sealed.use_keys([bytes(32)])
    ciphertext = sealed.seal("the secret itself")
    await log(
        database,
        org=tenant.org,
        type="custom.leak.happened",
        data={
            "name": "kept",
            "note": ciphertext,
            "password": "hunter2",
            "deep": [{"Api-Token": "hunter2", "list": [ciphertext, "kept"]}, ciphertext],
            "client_secret": "hunter2",
            "password_hash": "hunter2",
            "recovery_codes": ["hunter2"],
        },
    )
    answer = await tenant.owner.api.get(url(tenant, type="custom.leak.happened"))
    [entry] = answer.json["items"]
    assert entry["data"] == {"name": "kept", "deep": [{"list": ["kept"]}]}
    assert b"hunter2" not in answer.body
    assert b"sealed.v1" not in answer.body


def test_what_is_no_secret_stays() -> None:
    data = {"template": "reset_password", "n": 1, "none": None, "list": [1, {"a": True}]}
    assert without_secrets(data) == data


async def test_one_sees_what_happened_to_ones_own_account(api: Api) -> None:
    person, other = await new_person(api, "Watchful"), await new_person(api, "Stranger")
    await sign_in(api, person.email)
    await person.api.patch("/v1/me", {"name": "Watchful indeed"})
    answer = await person.api.get("/v1/me/audit")
    types = [each["type"] for each in answer.json["items"]]
    assert types[0] == "auth.user.updated"
    assert types.count("auth.session.opened") == 2
    assert types[-1] == "auth.user.registered"
    opened = next(each for each in answer.json["items"] if each["type"] == "auth.session.opened")
    assert opened["data"]["address"] == "127.0.0.1"
    assert other.id not in answer.body.decode()
    only = await person.api.get("/v1/me/audit?type=auth.session.*&limit=1")
    assert [each["type"] for each in only.json["items"]] == ["auth.session.opened"]
    assert only.json["next_cursor"]
    (await person.api.get(f"/v1/me/audit?actor={other.id}")).is_problem(422)


HOSTILE = (
    "%00", "%ED%A0%80", "%FF", "x" * 201, "", "$ne", "%7B%22%24ne%22%3A1%7D", ".*", "%5E%2E%2A%24",
    "(a%2B)%2B%24", "%5B", "%5C", "corp.**", "*", "%F0%9F%98%80", "%0d%0a",
)  # fmt: skip


@pytest.mark.parametrize("name", ["actor", "type", "subject", "since", "until", "impersonated"])
async def test_hostile_filters_find_nothing(name: str, tenant: Tenant) -> None:
    for value in HOSTILE:
        answer = await tenant.owner.api.get(url(tenant, **{name: value}))
        if name in ("actor", "subject") and answer.status == 200:
            assert answer.json == {"items": [], "next_cursor": None}, str(answer)
        else:
            problem = answer.is_problem(422)
            assert problem["errors"][0]["pointer"] == name, str(answer)


async def test_times_must_be_times(tenant: Tenant) -> None:
    for wrong in (
        "yesterday", "2026-01-01", "2026-01-01T00:00:00", "1", "2026-13-01T00:00:00Z",
        "2026-01-01T25:00:00Z", "99999-01-01T00:00:00Z", "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:00%2B99:00", "%D9%A2%D9%A0%D9%A2%D9%A6-01-01T00:00:00Z", "9" * 4000,
    ):  # fmt: skip
        for name in ("since", "until"):
            (await tenant.owner.api.get(url(tenant, **{name: wrong}))).is_problem(422)
    for edge in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"):
        for name in ("since", "until"):
            assert (await tenant.owner.api.get(url(tenant, **{name: edge}))).status == 200
    backwards = {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    assert await entries(tenant, **backwards) == []


# --- at size -----------------------------------------------------------------------------

COUNT = 100_000


@pytest.fixture(scope="module")
async def large(mongo_url: str) -> AsyncIterator[Database]:
    """A log of 100,000 events, half of them of one organization."""
    async with AsyncMongoClient[dict[str, Any]](mongo_url, tz_aware=True) as client:
        database = client["audit_at_size"]
        await ensure_bus_indexes(database)
        started = datetime(2026, 1, 1, tzinfo=UTC)
        for begin in range(0, COUNT, 10_000):
            await database[EVENTS].insert_many(
                {
                    "_id": f"evt_{number:026}",
                    "source": "/grid8/corp",
                    "type": "corp.brand.created" if number % 1000 else "asset.asset.ready",
                    "time": started + timedelta(seconds=number),
                    "org": f"org_{number % 2}",
                    "actor": f"usr_{number % 5000}",
                    "subject": f"brd_{number % 7000}",
                    "logged": int((started + timedelta(seconds=number)).timestamp() * 1e6),
                    "data": {} if number % 100 else {"user_id": "usr_0"},
                }
                for number in range(begin, begin + 10_000)
            )
        yield database
        await client.drop_database("audit_at_size")


AT_SIZE = {
    "all": AuditFilter(org="org_0"),
    "actor": AuditFilter(org="org_0", actor="usr_8"),
    "type": AuditFilter(org="org_0", type="asset.asset.ready"),
    "types": AuditFilter(org="org_0", type="asset.*"),
    "subject": AuditFilter(org="org_0", subject="brd_8"),
    "time": AuditFilter(
        org="org_0",
        since=datetime(2026, 1, 1, 5, tzinfo=UTC),
        until=datetime(2026, 1, 1, 6, tzinfo=UTC),
    ),
    "everywhere": AuditFilter(private=True),
}


@pytest.mark.parametrize("name", AT_SIZE)
@pytest.mark.parametrize("after", [None, (1767261600000000, "evt_00000000000000000000036000")])
async def test_a_page_of_a_large_log_reads_no_more_than_it_shows(
    name: str, after: tuple[int, str] | None, large: Database
) -> None:
    query = plan(AT_SIZE[name], after, None, 50)
    explained = await large.command(
        {
            "explain": {
                "find": EVENTS,
                "filter": query["filter"],
                "sort": dict(query["sort"]),
                "hint": query["hint"],
                "limit": query["limit"],
            },
            "verbosity": "executionStats",
        }
    )
    said = str(explained["queryPlanner"]["winningPlan"])
    assert "COLLSCAN" not in said
    assert ("'SORT'" in said) == (name == "subject"), said
    assert explained["executionStats"]["totalDocsExamined"] <= 60, said
    assert explained["executionStats"]["totalKeysExamined"] <= 200, said


@pytest.mark.parametrize("name", AT_SIZE)
async def test_pages_of_a_large_log_come_to_an_end(name: str, large: Database) -> None:
    seen: list[str] = []
    place = None
    while True:
        found, place = await read_audit(large, AT_SIZE[name], place, 10_000)
        seen += [event.id for event, _ in found]
        if place is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == len(seen)
    wanted = {"all": 50_000, "actor": 20, "type": 100, "types": 100, "time": 1800}
    assert len(seen) == {**wanted, "subject": 15, "everywhere": 100_000}[name]


async def test_a_rare_thing_is_found_in_all_organizations(large: Database) -> None:
    rare = AuditFilter(private=True, actor="usr_17", since=datetime(2026, 1, 1, tzinfo=UTC))
    seen: list[str] = []
    place = None
    for _ in range(20):
        found, place = await read_audit(large, rare, place, 50)
        seen += [event.id for event, _ in found]
        if place is None:
            break
    assert place is None
    assert len(seen) == 20
