"""Events of producers over HTTP, and the feed in which an organization reads what happened."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import Any

import pytest
from gateway_client import Answer, Api, Person, Tenant, new_tenant
from gateway_stack import eventually
from pymongo import AsyncMongoClient

from bus.feed.cursor import LENGTH
from bus.producing.cloudevents import read_events
from contracts.envelope import Envelope
from contracts.visibility import HIDDEN
from gateway.cloudevents import decode_header
from gateway.feed import CloudEvent
from infra.embedded.running import RunningStack

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def event(**more: Any) -> dict[str, Any]:
    """A CloudEvent; a member that is None is left out."""
    given = {
        "specversion": "1.0",
        "id": secrets.token_hex(6),
        "source": "/shop/prices",
        "type": "custom.price.changed",
        "data": {"sku": "A1", "price": 3.5},
        **more,
    }
    return {name: value for name, value in given.items() if value is not None}


async def send(
    person: Person, org: str, document: Any, media_type: str | None = None, **headers: str
) -> Answer:
    kind = media_type or (BATCH if isinstance(document, list) else STRUCTURED)
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return await person.api.post(
        f"/v1/orgs/{org}/events", data=body, headers={"Content-Type": kind, **headers}
    )


def pointers(answer: Answer) -> list[str]:
    return sorted(each["pointer"] for each in answer.is_problem(422)["errors"])


async def feed(api: Api, org: str, **parameters: Any) -> list[dict[str, Any]]:
    """All that the feed has at this moment."""
    found: list[dict[str, Any]] = []
    while True:
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        page = await api.get(f"/v1/orgs/{org}/events?{query}")
        assert page.status == 200, str(page)
        if not page.json["items"]:
            return found
        found += page.json["items"]
        parameters["after"] = page.json["next_cursor"]


@pytest.fixture(scope="module")
async def shop(api: Api) -> Tenant:
    """A tenant whose feed only these tests write to."""
    return await new_tenant(api, "Eventshop")


async def test_one_event_is_accepted_logged_and_shown(shop: Tenant) -> None:
    sent = event(subject="A1", time="2026-01-02T03:04:05+01:00")
    answer = await send(shop.owner, shop.org, sent)
    assert answer.status == 202, str(answer)
    (accepted,) = answer.json["items"]
    assert accepted == {"id": sent["id"], "event_id": accepted["event_id"], "repeated": False}
    (shown,) = [
        each
        for each in await feed(shop.owner.api, shop.org, type="custom.*")
        if each["causationid"] == sent["id"]
    ]
    assert shown == {
        "specversion": "1.0",
        "id": accepted["event_id"],
        "source": "/shop/prices",
        "type": "custom.price.changed",
        "time": "2026-01-02T02:04:05.000Z",
        "subject": "A1",
        "datacontenttype": "application/json",
        "dataversion": 1,
        "data": {"sku": "A1", "price": 3.5},
        "org": shop.org,
        "actor": shop.owner.id,
        "causationid": sent["id"],
        "correlationid": answer.headers["X-Request-Id"],
    }


async def test_a_batch_is_accepted_in_its_order_or_not_at_all(shop: Tenant) -> None:
    kind = f"custom.batch.{secrets.token_hex(4)}"
    sent = [event(type=kind) for _ in range(300)]
    answer = await send(shop.owner, shop.org, [*sent, sent[0]])
    assert answer.status == 202, str(answer)
    items = answer.json["items"]
    assert [each["id"] for each in items] == [each["id"] for each in [*sent, sent[0]]]
    assert [each["repeated"] for each in items] == [False] * 300 + [True]
    shown = await feed(shop.owner.api, shop.org, type=kind)
    assert [each["id"] for each in shown] == [each["event_id"] for each in items[:300]]

    other = kind.replace("batch", "half")
    refused = await send(shop.owner, shop.org, [event(type=other), event(type=other, source="a b")])
    assert pointers(refused) == ["/1/source"]
    assert await feed(shop.owner.api, shop.org, type=other) == []


async def test_binary_mode_takes_its_attributes_from_headers(shop: Tenant) -> None:
    id = secrets.token_hex(6)
    answer = await send(
        shop.owner,
        shop.org,
        {"price": 4},
        "application/json; charset=utf-8",
        **{
            "ce-specversion": "1.0",
            "ce-id": id,
            "CE-Source": "/shop/prices",
            "ce-type": "custom.price.changed",
            "ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80",
            "ce-time": "2026-01-02T03:04:05Z",
            "ce-dataversion": "2",
        },
    )
    assert answer.status == 202, str(answer)
    (shown,) = await feed(
        shop.owner.api, shop.org, subject="Euro%20%E2%82%AC%20%F0%9F%98%80", type="custom.*"
    )
    assert shown["data"] == {"price": 4}
    assert (shown["subject"], shown["dataversion"]) == ("Euro € 😀", 2)
    assert (shown["time"], shown["causationid"]) == ("2026-01-02T03:04:05.000Z", id)
    bare = {"ce-specversion": "1.0", "ce-id": id + "b", "ce-source": "/s", "ce-type": "custom.bare"}
    assert (await send(shop.owner, shop.org, b"", "text/json+json", **bare)).status == 202


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("plain", "plain"),
        ("a%20b", "a b"),
        ("%e2%82%ac", "€"),
        ("unnecessarily%20%61", "unnecessarily a"),
        ("100%25", "100%"),
        ("once%2520only", "once%20only"),
        ('"quoted value"', "quoted value"),
        ('"with \\"quotes\\" and \\\\"', 'with "quotes" and \\'),
    ],
)
def test_a_header_is_decoded_as_the_binding_says(header: str, text: str) -> None:
    assert decode_header(header) == text


@pytest.mark.parametrize("header", ["%C0%A0", "%E2%82", "%ff", "50%", "%zz", '"open', 'o"pen', "é"])
def test_a_header_that_is_not_well_encoded_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match=r"percent|ASCII|quote"):
        decode_header(header)


BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/shop",
    "ce-type": "custom.price.changed",
}


@pytest.mark.parametrize(
    ("headers", "body", "named"),
    [
        ({"ce-subject": "%ff"}, b"{}", ["ce-subject"]),
        ({"ce-type": "custom.", "ce-id": ""}, b"{}", ["ce-id", "ce-type"]),
        ({"ce-dataversion": "two"}, b"{}", ["ce-dataversion"]),
        ({"ce-data": "x"}, b"{}", ["ce-data"]),
        ({"ce-datacontenttype": "text/plain"}, b"{}", ["ce-datacontenttype"]),
        ({"ce-role": "owner", "ce-partitionkey": "1"}, b"{}", ["ce-partitionkey", "ce-role"]),
        ({}, b"[1]", [""]),
        ({}, b'{"n": {"m": 9223372036854775808}}', ["/n/m"]),
        ({"ce-org": "org_00000000000000000000000000"}, b"{}", ["ce-org"]),
        ({"ce-type": "corp.member.added"}, b"{}", ["ce-type"]),
    ],
)
async def test_what_is_wrong_in_binary_mode_is_named_by_its_header(
    headers: dict[str, str], body: bytes, named: list[str], shop: Tenant
) -> None:
    answer = await send(shop.owner, shop.org, body, "application/json", **{**BINARY, **headers})
    assert pointers(answer) == named


async def test_json_without_a_single_attribute_is_told_what_is_missing(shop: Tenant) -> None:
    answer = await send(shop.owner, shop.org, b"{}", "application/json")
    assert pointers(answer) == ["ce-id", "ce-source", "ce-specversion", "ce-type"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"specversion": "0.3"}, ["/specversion"]),
        ({"id": None, "source": ""}, ["/id", "/source"]),
        ({"org": "org_00000000000000000000000000"}, ["/org"]),
        ({"actor": "usr_1", "role": "owner"}, ["/actor", "/role"]),
        ({"source": "/grid8/corp"}, ["/source"]),
        ({"data": [1]}, ["/data"]),
    ],
)
async def test_what_is_wrong_is_named_attribute_by_attribute(
    changed: dict[str, Any], named: list[str], shop: Tenant
) -> None:
    assert pointers(await send(shop.owner, shop.org, event(**changed))) == named


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("corp.member.added", {"organization_id": "{org}", "user_id": "{user}", "role": "owner"}),
        ("auth.user.registered", {"user_id": "{user}", "email": "a@example.com", "name": "A"}),
        ("asset.asset.deleted", {"asset_id": "ast_1"}),
        ("corp.member.add", {}),
    ],
)
async def test_nobody_forges_an_event_that_a_domain_would_believe(
    type: str, data: dict[str, str], shop: Tenant
) -> None:
    filled = {name: value.format(org=shop.org, user=shop.owner.id) for name, value in data.items()}
    answer = await send(shop.owner, shop.org, event(type=type, data=filled))
    assert pointers(answer) == ["/type"]
    (error,) = answer.json["errors"]
    assert error["code"] == ("not_producible" if type != "corp.member.add" else "unknown")
    assert await feed(shop.owner.api, shop.org, type=type, since="2100-01-01T00:00:00Z") == []


async def test_a_body_of_the_wrong_kind_shape_or_size_is_refused(shop: Tenant) -> None:
    for kind in ("text/plain", "application/cloudevents+xml", "application/cloudevents", "x/y"):
        answer = await send(shop.owner, shop.org, event(), kind)
        assert answer.is_problem(415)["code"] == "media_type_unsupported"
    latin = await send(shop.owner, shop.org, event(), STRUCTURED + "; charset=latin-1")
    latin.is_problem(415)
    for kind in (STRUCTURED, BATCH):
        for body in (b"", b"{", b"[NaN]", b'{"a":1,"a":2}', b"\xff"):
            answer = await send(shop.owner, shop.org, body, kind)
            assert answer.is_problem(400)["code"] == "body_malformed", body
    assert pointers(await send(shop.owner, shop.org, [event()], STRUCTURED)) == [""]
    assert pointers(await send(shop.owner, shop.org, event(), BATCH)) == [""]
    for batch in ([], [event()] * 1001):
        answer = await send(shop.owner, shop.org, batch)
        assert answer.is_problem(422)["code"] == "event_invalid"
    large = await send(shop.owner, shop.org, event(data={"x": "y" * 1_100_000}))
    assert large.is_problem(413)["code"] == "body_too_large"
    asked = await shop.owner.api.post(f"/v1/orgs/{shop.org}/events?x=1", event())
    asked.is_problem(422)


async def test_an_event_sent_again_is_accepted_once(shop: Tenant) -> None:
    sent = event(type="custom.once")
    answers = await asyncio.gather(*(send(shop.owner, shop.org, sent) for _ in range(10)))
    items = [answer.json["items"][0] for answer in answers]
    assert len({each["event_id"] for each in items}) == 1
    assert [each["repeated"] for each in items].count(False) == 1
    assert len(await feed(shop.owner.api, shop.org, type="custom.once")) == 1


async def test_another_tenants_event_of_the_same_name_is_another(
    shop: Tenant, beta: Tenant
) -> None:
    sent = event()
    first = await send(shop.owner, shop.org, sent)
    second = await send(beta.owner, beta.org, sent)
    assert second.json["items"][0]["repeated"] is False
    assert second.json["items"][0]["event_id"] != first.json["items"][0]["event_id"]


async def test_an_idempotency_key_brings_the_first_answer_again(shop: Tenant) -> None:
    key = {"Idempotency-Key": secrets.token_hex(8)}
    batch = [event(), event()]
    first = await send(shop.owner, shop.org, [*batch, batch[0]], **key)
    again = await send(shop.owner, shop.org, [*batch, batch[0]], **key)
    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json
    assert [each["repeated"] for each in first.json["items"]] == [False, False, True]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    other = await send(shop.owner, shop.org, [event()], **key)
    assert other.is_problem(422)["code"] == "idempotency.key_reused"
    binary: Mapping[str, str] = {**BINARY, "Idempotency-Key": secrets.token_hex(8)}
    assert (await send(shop.owner, shop.org, b"{}", "application/json", **binary)).status == 202
    changed = {**binary, "ce-id": "2"}
    answer = await send(shop.owner, shop.org, b"{}", "application/json", **changed)
    assert answer.is_problem(422)["code"] == "idempotency.key_reused"


# the feed


async def test_the_feed_tells_of_everything_from_the_beginning(shop: Tenant) -> None:
    shown = await feed(shop.owner.api, shop.org, limit=3)
    assert [each["type"] for each in shown[:4]] == [
        "corp.organization.created",
        "corp.member.added",
        "corp.brand.created",
        "corp.project.created",
    ]
    assert len({each["id"] for each in shown}) == len(shown)
    for each in shown:
        assert each["org"] == shop.org
        assert not set(each) & (HIDDEN | {"logged", "_id"})
        CloudEvent.model_validate(each)


async def test_what_was_answered_is_in_the_feed_at_once(api: Api) -> None:
    tenant = await new_tenant(api, "Prompt")
    owner, path = tenant.owner.api, f"/v1/orgs/{tenant.org}"
    cursor = (await owner.get(f"{path}/events")).json["next_cursor"]
    for number in range(5):
        brand = await owner.post(f"{path}/brands", {"name": f"B{number}"})
        page = (await owner.get(f"{path}/events?after={cursor}")).json
        assert [each["subject"] for each in page["items"]] == [brand.json["id"]]
        cursor = page["next_cursor"]
        assert (await owner.get(f"{path}/events?after={cursor}")).json["items"] == []


async def test_private_events_are_not_in_the_feed(
    shop: Tenant, stack: RunningStack, servers: RunningStack
) -> None:
    """One is put into the log as if it belonged to the organization, which none does today."""
    known = read_events(event(), org=shop.org)[0].model_dump(mode="python", exclude_none=True)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(servers.mongo_url)
    private = {**known, "type": "auth.session.opened", "logged": 1}
    del private["id"]
    collection = client["gateway_tests"]["events"]
    await collection.insert_many(
        [{**private, "_id": secrets.token_hex(8)}, {**private, "_id": "x", "type": "un.heard.of"}]
    )
    try:
        assert await feed(shop.owner.api, shop.org, type="auth.*") == []
        assert await feed(shop.owner.api, shop.org, type="un.*") == []
        assert await feed(shop.owner.api, shop.org, type="custom.*")
    finally:
        await collection.delete_many({"logged": 1})
        await client.close()


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("after=", "after"),
        ("after=nonsense", "after"),
        ("after=e1.AAAA", "after"),
        ("after=g4.9-1-1", "after"),
        ("after=" + "e" * (LENGTH + 1), "after"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("type=", "type"),
        ("type=*", "type"),
        ("type=corp*", "type"),
        ("type=Corp.x", "type"),
        ("type=corp.*.x", "type"),
        ("subject=", "subject"),
        ("subject=" + "s" * 201, "subject"),
        ("since=yesterday", "since"),
        ("since=1700000000", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("since=2026-13-01T00:00:00Z", "since"),
        ("until=2026-01-01T00:00:00Z", "until"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    query: str, pointer: str, shop: Tenant
) -> None:
    answer = await shop.owner.api.get(f"/v1/orgs/{shop.org}/events?{query}")
    assert pointers(answer) == [pointer]


async def test_a_cursor_of_one_tenant_opens_nothing_of_another(shop: Tenant, beta: Tenant) -> None:
    cursor = (await shop.owner.api.get(f"/v1/orgs/{shop.org}/events?limit=1")).json["next_cursor"]
    answer = await beta.owner.api.get(f"/v1/orgs/{beta.org}/events?after={cursor}&limit=200")
    assert answer.status == 200
    assert all(each["org"] == beta.org for each in answer.json["items"])


async def test_a_realtime_cursor_that_is_not_held_is_expired(shop: Tenant) -> None:
    for cursor in ("g4.0-1-1.1-1-1.2-1-1.3-1-1", "g5.0-1-1"):
        answer = await shop.owner.api.get(f"/v1/orgs/{shop.org}/events?after={cursor}")
        assert answer.is_problem(422)["code"] == "cursor_expired"
        assert pointers(answer) == ["after"]


def test_clients_are_shown_all_of_an_envelope_but_what_is_hidden() -> None:
    assert set(CloudEvent.model_fields) == set(Envelope.model_fields) - HIDDEN


async def test_a_hundred_writers_and_a_polling_reader_end_with_the_same_events(
    api: Api,
) -> None:
    tenant = await new_tenant(api, "Busyfeed")
    owner, org = tenant.owner, tenant.org
    kind = "custom.busy"

    async def write(number: int) -> list[str]:
        if number % 4 == 0:
            name = f"{number} {secrets.token_hex(4)}"
            made = await owner.api.post(f"/v1/orgs/{org}/brands", {"name": name})
            assert made.status == 201, str(made)
            return []
        found = []
        for _ in range(2):
            answer = await send(owner, org, [event(type=kind) for _ in range(number % 5 + 1)])
            assert answer.status == 202, str(answer)
            found += [each["event_id"] for each in answer.json["items"]]
        return found

    async def page(after: str | None) -> tuple[list[dict[str, Any]], str]:
        query = f"&after={after}" if after else ""
        answer = await owner.api.get(f"/v1/orgs/{org}/events?limit=20{query}")
        assert answer.status == 200, str(answer)
        return answer.json["items"], answer.json["next_cursor"]

    writers = [asyncio.create_task(write(number)) for number in range(100)]
    shown: list[dict[str, Any]] = []
    cursor: str | None = None
    while not all(each.done() for each in writers):
        items, cursor = await page(cursor)
        shown += items

    async def rest() -> int:
        nonlocal cursor, shown
        items, cursor = await page(cursor)
        shown += items
        return len(items)

    # More than a cursor holds may have come within the last seconds: the feed lags then.
    sent = [id for each in writers for id in await each]
    brands = 26
    before = 4  # organization, member, first brand, project

    def whole(_: int) -> bool:
        return len([e for e in shown if e["type"] in (kind, "corp.brand.created")]) >= (
            len(sent) + brands
        )

    await eventually(rest, whole, within=60)
    while await rest():
        pass
    ids = [each["id"] for each in shown]
    assert len(ids) == len(set(ids)), "an event was shown twice"
    assert sorted(each["id"] for each in shown if each["type"] == kind) == sorted(sent)
    assert [each["type"] for each in shown].count("corp.brand.created") == brands
    assert shown[0]["type"] == "corp.organization.created"
    assert len(shown) >= len(sent) + brands + before - 1
