"""Events of internal producers: what is refused and why, and that each is accepted once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from bus import streams
from bus.committer import Committer
from bus.documents import EVENTS, OUTBOX
from bus.producing import accept as producing
from bus.producing.accept import produce
from bus.producing.cloudevents import BATCH_LIMIT, DEPTH, EventsInvalid, read_events
from bus.publisher import Publisher
from bus.relay import Relay
from contracts.base import Event
from contracts.envelope import Envelope
from handlers.topology import DOMAINS, reactions_of
from tests.bus.probe import EVENT_STREAM, Bus, ThingMade, until

CUSTOM = streams.events("custom")
ORG = "org_probe"


def event(**more: Any) -> dict[str, Any]:
    """A CloudEvent; a member that is None is left out."""
    given = {
        "specversion": "1.0",
        "id": "1",
        "source": "/shop/prices",
        "type": "custom.price.changed",
        "org": ORG,
        "data": {"sku": "A1", "price": 3.5},
        **more,
    }
    return {name: value for name, value in given.items() if value is not None}


def wrong(document: Any, **more: Any) -> dict[str, str]:
    """What is said of each attribute of a document that is refused."""
    with pytest.raises(EventsInvalid) as refused:
        read_events(document, **more)
    return {each.pointer: each.detail for each in refused.value.errors}


async def published(bus: Bus, domain: str = "custom") -> list[Envelope]:
    return await bus.published(domain)


def test_one_event_and_a_batch_are_read() -> None:
    (one,) = read_events(event(subject="A1", time="2026-01-02T03:04:05+01:00"))
    assert (one.id, one.source, one.type, one.org) == (
        "1",
        "/shop/prices",
        "custom.price.changed",
        ORG,
    )
    assert one.data == {"sku": "A1", "price": 3.5}
    assert one.time == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    many = read_events([event(id="1"), event(id="2")])
    assert [each.id for each in many] == ["1", "2"]


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_a_required_attribute_that_is_missing_is_named(name: str) -> None:
    assert list(wrong(event(**{name: None}))) == [f"/{name}"]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("specversion", "0.3"),
        ("specversion", 1.0),
        ("id", ""),
        ("id", 7),
        ("id", "x" * 129),
        ("id", "a\nb"),
        ("source", "not a uri"),
        ("source", ""),
        ("type", "custom"),
        ("type", "custom."),
        ("type", "custom.Price"),
        ("type", "custom.price..changed"),
        ("type", "customer.thing.made"),
        ("type", "probe.thing.make"),
        ("type", "unheard.of"),
        ("time", "yesterday"),
        ("time", "2026-01-02T03:04:05"),
        ("time", 1767319445),
        ("subject", ""),
        ("datacontenttype", "text/xml"),
        ("dataversion", 0),
        ("dataversion", "1"),
        ("dataversion", True),
        ("org", "Acme Inc."),
        ("org", ["org_probe"]),
        ("data", "text"),
        ("data", [1]),
        ("data", {"n": 2**63}),
        ("data", {"n": float("inf")}),
        ("data", {"s": "\ud800"}),
        ("data", {"a\0b": 1}),
        ("traceparent", "00-abc"),
        ("actor", "usr_1"),
        ("role", "owner"),
        ("causationid", "evt_1"),
        ("replyto", "grid8:replies:x"),
        ("data_base64", "AAAA"),
        ("partitionkey", "x"),
        ("Org", "x"),
    ],
)
def test_an_attribute_that_is_wrong_is_named(attribute: str, value: Any) -> None:
    (pointer,) = wrong(event(**{attribute: value}))
    assert pointer.split("/")[1] == attribute


def test_everything_that_is_wrong_with_a_batch_is_said_at_once() -> None:
    found = wrong([event(), event(id=None, source="a b"), "text", event(org=None)])
    assert sorted(found) == ["/1/id", "/1/source", "/2", "/3/org"]


def test_a_batch_is_neither_empty_nor_endless() -> None:
    assert wrong([]) == {}
    assert wrong([event()] * (BATCH_LIMIT + 1)) == {}


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-12:00"])
def test_a_time_that_no_calendar_has_in_utc_is_refused(time: str) -> None:
    assert "years" in wrong(event(time=time))["/time"]


def test_a_time_is_kept_in_utc() -> None:
    (read,) = read_events(event(time="0001-01-01T23:59:00+23:59"))
    assert read.time.isoformat() == "0001-01-01T00:00:00+00:00"


def test_an_event_is_not_larger_than_every_socket_should_bear() -> None:
    read_events(event(data={"a": "x" * 1_000_000}))
    assert "larger" in wrong(event(data={"a": "x" * 1_100_000}))["/data"]


@pytest.mark.parametrize("org", ["", "zzz", "org_x/..", "*"])
def test_what_cannot_be_an_organization_is_refused_whoever_names_it(org: str) -> None:
    assert "/org" in wrong(event(org=None), org=org, by_operator=True)


def test_data_is_not_nested_without_end() -> None:
    deep: Any = 1
    for _ in range(DEPTH + 2):
        deep = [deep]
    (pointer,) = wrong(event(data={"deep": deep}))
    assert pointer.startswith("/data/deep")


def test_the_given_organization_is_the_only_one() -> None:
    assert read_events(event(org=None), org=ORG)[0].org == ORG
    assert read_events(event(), org=ORG)[0].org == ORG
    assert list(wrong(event(org="org_other"), org=ORG)) == ["/org"]


MADE: dict[str, Any] = {"type": "probe.thing.made", "data": {"thing_id": "thg_1", "name": "one"}}


def test_a_registered_event_must_fit_its_contract() -> None:
    (envelope,) = read_events(event(**MADE, org=None), by_operator=True)
    assert (envelope.subject, envelope.data) == ("thg_1", MADE["data"])
    for wrongly, pointer in (
        ({"data": {"thing_id": "thg_1"}}, "/data/name"),
        ({"data": {**MADE["data"], "x": 1}}, "/data/x"),
        ({"subject": "thg_2"}, "/subject"),
        ({"dataversion": 2}, "/type"),
    ):
        assert list(wrong(event(**{**MADE, **wrongly}), by_operator=True)) == [pointer]


def test_an_organizations_producer_sends_a_registered_event_only_where_that_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(EventsInvalid) as refused:
        read_events(event(**MADE), org=ORG)
    (error,) = refused.value.errors
    assert (error.pointer, error.code) == ("/type", "not_producible")
    monkeypatch.setattr(ThingMade, "producible", True)
    assert read_events(event(**MADE), org=ORG)[0].subject == "thg_1"


@pytest.mark.parametrize("contract", list(Event.all()), ids=lambda contract: contract.wire)
def test_no_event_that_a_domain_believes_is_open_to_producers(contract: type[Event]) -> None:
    reacting = {event for group in DOMAINS for event in reactions_of(group)}
    assert not contract.producible or contract not in reacting


def test_our_own_name_is_not_a_producers() -> None:
    assert list(wrong(event(source="/grid8/corp"), org=ORG)) == ["/source"]
    assert read_events(event(source="/grid8/corp"), by_operator=True)


async def test_an_event_is_logged_with_an_id_of_ours_and_published(bus: Bus) -> None:
    (answer,) = await produce(bus.committer, bus.publisher, bus.database, read_events(event()))
    assert (answer.id, answer.repeated) == ("1", False)
    logged = await bus.database[EVENTS].find_one({"_id": answer.event})
    assert logged is not None
    assert (logged["causationid"], logged["source"]) == ("1", "/shop/prices")
    assert (logged["org"], logged["data"]["price"]) == (ORG, 3.5)
    (entry,) = await published(bus)
    assert entry.id == answer.event
    assert entry.data == logged["data"]

    async def swept() -> bool:
        return await bus.database[OUTBOX].count_documents({}) == 0

    await until(swept, "the outbox to be swept")


async def test_the_same_event_is_accepted_once(bus: Bus) -> None:
    (first,) = await produce(bus.committer, bus.publisher, bus.database, read_events(event()))
    (again,) = await produce(
        bus.committer, bus.publisher, bus.database, read_events(event(data={"sku": "B2"}))
    )
    assert (again.event, again.repeated) == (first.event, True)
    assert len(await published(bus)) == 1
    assert await bus.database[EVENTS].count_documents({}) == 1


async def test_another_source_or_organization_may_use_the_same_id(bus: Bus) -> None:
    documents = [event(), event(source="/shop/stock"), event(org="org_other")]
    answers = await produce(bus.committer, bus.publisher, bus.database, read_events(documents))
    assert [each.repeated for each in answers] == [False] * 3
    assert len({each.event for each in answers}) == 3


async def test_an_event_twice_in_one_batch_is_accepted_once(bus: Bus) -> None:
    documents = [event(id="a"), event(id="b"), event(id="a")]
    answers = await produce(bus.committer, bus.publisher, bus.database, read_events(documents))
    assert [each.id for each in answers] == ["a", "b", "a"]
    assert [each.repeated for each in answers] == [False, False, True]
    assert answers[0].event == answers[2].event
    assert [each.id for each in await published(bus)] == [each.event for each in answers[:2]]


async def test_many_producers_of_one_event_at_once_all_learn_the_same(bus: Bus) -> None:
    answers = await asyncio.gather(
        *(
            produce(
                bus.committer, bus.publisher, bus.database, read_events([event(), event(id=str(n))])
            )
            for n in range(20)
        )
    )
    assert len({pair[0].event for pair in answers}) == 1
    assert len(await published(bus)) == await bus.database[EVENTS].count_documents({}) == 20


async def test_a_batch_larger_than_a_transaction_keeps_its_order(bus: Bus) -> None:
    documents = [event(id=f"e{number}") for number in range(300)]
    answers = await produce(bus.committer, bus.publisher, bus.database, read_events(documents))
    assert [each.id for each in answers] == [each["id"] for each in documents]
    assert [each.id for each in await published(bus)] == [each.event for each in answers]


async def test_a_registered_event_goes_to_its_domain(bus: Bus) -> None:
    found = read_events(event(**MADE), by_operator=True)
    (answer,) = await produce(bus.committer, bus.publisher, bus.database, found)
    assert [each.id for each in await bus.published()] == [answer.event]
    assert await bus.redis.xlen(EVENT_STREAM) == 1
    assert not await bus.redis.exists(CUSTOM)


async def test_a_batch_that_was_accepted_costs_no_transaction_again(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read_events([event(id=f"e{number}") for number in range(200)])
    first = await produce(bus.committer, bus.publisher, bus.database, found)
    monkeypatch.setattr(Committer, "commit", None)
    again = await produce(bus.committer, bus.publisher, bus.database, found)
    assert [each.event for each in again] == [each.event for each in first]
    assert all(each.repeated for each in again)


async def test_a_producer_does_not_wait_for_a_redis_that_stands_still(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(self: Publisher, envelopes: Any) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "publish", stuck)
        patched.setattr(producing, "PUBLISH_LIMIT", 0.05)
        (answer,) = await produce(bus.committer, bus.publisher, bus.database, read_events(event()))
    assert await Relay(bus.database, bus.publisher, grace=0).sweep() == 1
    assert [each.id for each in await published(bus)] == [answer.event]


async def test_what_redis_could_not_take_is_accepted_and_relayed_later(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: Publisher, envelopes: Any) -> None:
        raise RedisConnectionError("away")

    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "publish", away)
        (answer,) = await produce(bus.committer, bus.publisher, bus.database, read_events(event()))
    assert await published(bus) == []
    assert await Relay(bus.database, bus.publisher, grace=0).sweep() == 1
    assert [each.id for each in await published(bus)] == [answer.event]
