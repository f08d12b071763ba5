"""Redis has lost its data: what was published and not handled is published again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from bus import streams
from bus.accepted import Accepted, Waiting, settle
from bus.broker import decode, ensure_groups
from bus.committer import forget_published
from bus.delivery import Entry
from bus.documents import EVENTS, INBOX, OUTBOX, RELAY_STATE, ensure_bus_indexes
from bus.logged import event_document
from bus.outcomes import find_outcome
from bus.publisher import Publisher
from bus.recovery.epoch import Readers, Recovery
from bus.relay import SETTLE_AFTER, Relay
from bus.unit_of_work import UnitOfWork, inbox_key
from contracts.base import View
from contracts.envelope import Envelope
from contracts.errors import ErrorKind, Failure
from contracts.types import first_id, new_id, now
from tests.bus.probe import (
    COMMANDS,
    DOMAIN,
    EVENT_STREAM,
    POLICY,
    BroodOverThing,
    Bus,
    MakeThing,
    ThingMade,
    envelope_of,
    make_thing,
    until,
)

WATCHERS = streams.replay("watchers")
READERS = Readers(
    events=[
        (EVENT_STREAM, "one"),
        (EVENT_STREAM, "two"),
        (EVENT_STREAM, "watchers"),
        (WATCHERS, "watchers"),
    ],
    commands=[(COMMANDS, DOMAIN), (streams.commands(DOMAIN, "slow"), DOMAIN)],
    reacting={ThingMade.wire: ["one", "two"]},
    observing={DOMAIN: ["watchers"], "custom": ["watchers"]},
)
LOST = Failure(code="lost", kind=ErrorKind.UNAVAILABLE, title="Lost", detail="It is lost.")


def recovery_of(bus: Bus, *, margin: float = 60.0, readers: Readers = READERS) -> Recovery:
    return Recovery(bus.database, bus.publisher, readers, margin=margin)


def event(number: int, at: datetime | None = None, **more: Any) -> Envelope:
    return Envelope(
        id=more.pop("id", new_id("evt")),
        source="/grid8/probe",
        type=more.pop("type", ThingMade.wire),
        time=at or now(),
        subject=f"thg_{number}",
        data={"thing_id": f"thg_{number}", "name": str(number)},
        **more,
    )


async def log(bus: Bus, events: Sequence[Envelope], *handled_by: str) -> None:
    await bus.database[EVENTS].insert_many([event_document(each) for each in events])
    for group in handled_by:
        await bus.database[INBOX].insert_many(
            [{"_id": inbox_key(group, each.id), "at": now()} for each in events]
        )


async def state(bus: Bus) -> dict[str, Any]:
    found = await bus.database[RELAY_STATE].find_one({})
    assert found is not None
    return found


async def shown(bus: Bus) -> list[str]:
    """What the observers' lane holds, by id."""
    return [
        Envelope.model_validate_json(decode(fields)).id
        for _, fields in await bus.redis.xrange(WATCHERS)
        if fields[b"redrive"] == b"recovery"
    ]


async def read_all(bus: Bus, group: str, *, ack: bool = True) -> list[str]:
    """One group reads what there is."""
    reply = await bus.redis.xreadgroup(group, "someone", {EVENT_STREAM: ">"}, count=1000)
    ids = [id.decode() for _, found in reply or [] for id, _ in found]
    if ack and ids:
        await bus.redis.xack(EVENT_STREAM, group, *ids)
    return ids


async def test_the_first_relay_begins_an_epoch(bus: Bus) -> None:
    recovery = recovery_of(bus)
    assert await recovery.tick()
    assert not await recovery.tick()
    epoch = (await state(bus))["epoch"]
    assert await bus.redis.get(streams.EPOCH) == epoch.encode()
    for stream, group in (*READERS.events, *READERS.commands):
        assert group.encode() in {each["name"] for each in await bus.redis.xinfo_groups(stream)}


async def test_what_some_group_has_not_handled_is_published_again(bus: Bus) -> None:
    recovery = recovery_of(bus)
    await recovery.tick()
    by_all, by_one, by_none = ([event(n) for n in range(a, a + 300)] for a in (0, 300, 600))
    await log(bus, by_all, "one", "two")
    await log(bus, by_one, "one")
    await log(bus, by_none)
    useless = event(900, type="probe.thing.unheard_of")
    await log(bus, [useless])
    await bus.redis.flushdb()
    assert await recovery.tick()
    assert {each.id for each in await bus.published()} == {each.id for each in by_one + by_none}
    assert set(await shown(bus)) == {each.id for each in [*by_all, useless]}
    assert not await recovery.tick(), "it is done once"
    assert len(await bus.published()) == 600
    for group in ("one", "two", "watchers"):
        assert len(await read_all(bus, group)) == 600, "groups are there, and begin at the start"


async def test_what_everybody_had_processed_is_not_looked_at(bus: Bus) -> None:
    recovery = recovery_of(bus, margin=0.0)
    await recovery.tick()
    old = [event(number) for number in range(3)]
    await log(bus, old)
    await bus.publisher.publish(old)
    for group in ("one", "two", "watchers"):
        await read_all(bus, group)
    await recovery.tick()  # notes where the streams end
    await recovery.tick()  # and finds that everybody is there
    through = (await state(bus))["through"]
    assert through > old[-1].time
    young = event(4, at=now() + timedelta(milliseconds=5))
    await log(bus, [young])
    await asyncio.sleep(0.01)
    await bus.redis.flushdb()
    await recovery.tick()
    assert [each.id for each in await bus.published()] == [young.id]


async def test_the_watermark_waits_for_the_slowest_group(bus: Bus) -> None:
    recovery = recovery_of(bus)
    await recovery.tick()
    begun = (await state(bus))["through"]
    await bus.publisher.publish([event(1)])
    await read_all(bus, "one")
    await read_all(bus, "watchers")
    [entry] = await read_all(bus, "two", ack=False)

    async def ticks() -> datetime:
        for _ in range(3):
            await recovery.tick()
        through: datetime = (await state(bus))["through"]
        return through

    # The checkpoint of the first tick is from before the event was published.
    await recovery.tick()
    first = await ticks()
    assert first == await ticks(), "one group has the event in hand"
    # Whatever comes meanwhile and is processed, the one in hand holds the watermark.
    await bus.publisher.publish([event(2)])
    for group in ("one", "two", "watchers"):
        await read_all(bus, group)
    assert first == await ticks()
    await bus.redis.xack(EVENT_STREAM, "two", entry)
    assert await ticks() > first >= begun


async def test_an_event_that_is_not_published_yet_holds_the_watermark(bus: Bus) -> None:
    await ensure_bus_indexes(bus.database)
    recovery = recovery_of(bus)
    await recovery.tick()
    at = now() - timedelta(hours=1)
    await bus.database[OUTBOX].insert_one({"_id": "out_1", "at": at, "events": [], "commands": []})
    await bus.database[RELAY_STATE].update_one({}, {"$set": {"through": at - timedelta(hours=1)}})
    for _ in range(4):
        await recovery.tick()
    assert (await state(bus))["through"] == at
    await bus.database[OUTBOX].delete_one({"_id": "out_1"})
    for _ in range(4):
        await recovery.tick()
    assert (await state(bus))["through"] > at


async def test_a_checkpoint_does_not_outlive_its_redis(bus: Bus) -> None:
    one, other = recovery_of(bus), recovery_of(bus)
    await one.tick()
    await other.tick()
    lost = event(1)
    await log(bus, [lost])
    await bus.publisher.publish([lost])
    await other.tick()  # notes where the stream ends
    await bus.redis.flushdb()
    await one.tick()
    assert len(await bus.published()) == 1
    through = (await state(bus))["through"]
    for _ in range(3):
        await other.tick()
    assert (await state(bus))["through"] == through, "nobody has processed it yet"


async def test_a_producers_event_is_found_whatever_time_it_says(bus: Bus) -> None:
    recovery = recovery_of(bus)
    await recovery.tick()
    theirs = event(1, at=datetime(1999, 1, 1, tzinfo=now().tzinfo), type="custom.weather.turned")
    await log(bus, [theirs])
    await bus.redis.flushdb()
    await recovery.tick()
    assert await shown(bus) == [theirs.id]


async def test_a_relay_that_dies_half_way_is_followed_by_another(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery = recovery_of(bus)
    await recovery.tick()
    await log(bus, [event(number) for number in range(1200)])
    await bus.redis.flushdb()
    published = 0

    async def die(envelopes: Sequence[Envelope]) -> None:
        nonlocal published
        published += len(envelopes)
        if published > 600:
            raise ConnectionError("the process is gone")
        await Publisher.publish(bus.publisher, envelopes)

    with monkeypatch.context() as patched:
        patched.setattr(bus.publisher, "publish", die)
        with pytest.raises(ConnectionError):
            await recovery.tick()
    other = recovery_of(bus)
    assert not await other.tick(), "the lock is held until its lease is over"
    assert await bus.redis.get(streams.EPOCH) is None
    assert 0 < await bus.redis.pttl(streams.RECOVERY) <= 15_000
    await bus.redis.delete(streams.RECOVERY)
    assert await other.tick()
    assert len({each.id for each in await bus.published()}) == 1200


async def test_losing_the_data_again_meanwhile_begins_anew(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery = recovery_of(bus)
    await recovery.tick()
    events = [event(number) for number in range(700)]
    await log(bus, events)
    await bus.redis.flushdb()

    async def flush(envelopes: Sequence[Envelope]) -> None:
        await Publisher.publish(bus.publisher, envelopes)
        await bus.redis.flushdb()

    with monkeypatch.context() as patched:
        patched.setattr(bus.publisher, "publish", flush)
        assert not await recovery.tick()
    assert await bus.redis.get(streams.EPOCH) is None
    assert await recovery.tick()
    assert {each.id for each in await bus.published()} == {each.id for each in events}


async def test_of_two_relays_one_recovers(bus: Bus) -> None:
    await recovery_of(bus).tick()
    await log(bus, [event(number) for number in range(600)])
    await bus.redis.flushdb()
    did = await asyncio.gather(*(recovery_of(bus).tick() for _ in range(4)))
    assert sum(did) == 1
    assert len(await bus.published()) == 600


async def send_on(command: MakeThing, uow: UnitOfWork) -> View | None:
    uow.send(BroodOverThing(name=command.name))
    return None


async def brood(command: BroodOverThing, uow: UnitOfWork) -> None:
    uow.emit(ThingMade(thing_id=uow.new_id("thg"), name=command.name))


async def test_a_command_that_a_handler_sent_is_sent_again_until_it_is_handled(bus: Bus) -> None:
    recovery = recovery_of(bus)
    await recovery.tick()
    relay = Relay(bus.database, bus.publisher, grace=0.0)
    handling = bus.handling({MakeThing: send_on, BroodOverThing: brood})
    slow = streams.commands(DOMAIN, "slow")

    async def handle(stream: str) -> None:
        delivery = bus.delivery(stream)
        for entry in await bus.read(delivery):
            await handling.handle(entry, delivery, POLICY)

    await bus.send(MakeThing(name="one"))
    await handle(COMMANDS)

    async def sent() -> bool:
        return await bus.database[OUTBOX].count_documents({"sent": {"$ne": None}}) == 1

    await until(sent, "the outbox to know that the command is published")
    assert await relay.sweep() == 0, "it is not published a second time for that"
    [document] = await bus.database[OUTBOX].find().to_list()
    await bus.redis.flushdb()
    await recovery.tick()
    await handle(slow)
    assert await bus.inbox(document["commands"][0]["id"]) is not None
    assert len(await bus.published()) == 1
    before = now() - timedelta(seconds=SETTLE_AFTER + 1)
    await bus.database[OUTBOX].update_many({"sent": {"$ne": None}}, {"$set": {"sent": before}})
    await relay.settle()
    assert await bus.database[OUTBOX].count_documents({"_id": document["_id"]}) == 0


async def test_a_command_that_was_lost_before_it_was_marked_as_sent_is_sent_again(
    bus: Bus,
) -> None:
    recovery = recovery_of(bus)
    await recovery.tick()
    command = envelope_of(MakeThing(name="lost"))
    document = {
        "_id": "out_1",
        "at": now(),
        "events": [],
        "commands": [command.model_dump(mode="json", exclude_none=True)],
    }
    await bus.database[OUTBOX].insert_one(document)
    await bus.publisher.publish([command])
    await bus.redis.flushdb()
    await recovery.tick()
    await forget_published(bus.database, ["out_1"])  # late, as under load
    delivery = bus.delivery(COMMANDS)
    assert [each.id for each in map(_envelope, await bus.read(delivery))] == [command.id]


def _envelope(entry: Entry) -> Envelope:
    return Envelope.model_validate_json(decode(entry.fields))


async def test_a_command_that_waits_is_kept_in_the_outbox(bus: Bus) -> None:
    relay = Relay(bus.database, bus.publisher, grace=0.0)
    command = envelope_of(MakeThing(name="waits"))
    before = now() - timedelta(seconds=SETTLE_AFTER + 1)
    await bus.database[OUTBOX].insert_one(
        {
            "_id": "out_1",
            "at": before,
            "sent": before,
            "events": [],
            "commands": [command.model_dump(mode="json", exclude_none=True)],
        }
    )
    assert await relay.settle() == 1
    assert await relay.settle() == 0, "it is looked at again later"
    assert await bus.database[OUTBOX].count_documents({}) == 1


async def waiting_of(bus: Bus, accepted: Accepted, envelope: Envelope) -> Waiting:
    await ensure_groups(bus.redis, [(COMMANDS, DOMAIN)])
    await accepted.send(envelope, "usr_1")
    waiting = await accepted.find(envelope.id, DOMAIN)
    assert waiting is not None
    assert waiting.user == "usr_1"
    return waiting


@pytest.mark.parametrize("durable", ["always", "waitaof"])
async def test_a_command_waits_as_long_as_its_entry_is_there(bus: Bus, durable: str) -> None:
    accepted = Accepted(Publisher(bus.redis, durable=durable), bus.database, kept=60)
    envelope = envelope_of(MakeThing(name="one"))
    waiting = await waiting_of(bus, accepted, envelope)

    async def outcome() -> Any:
        return await accepted.outcome(envelope.id, DOMAIN, waiting, user="usr_1", lost=LOST)

    assert await outcome() is None
    delivery = bus.delivery(COMMANDS)
    for entry in await bus.read(delivery):
        await bus.handling({MakeThing: make_thing}).handle(entry, delivery, POLICY)
    assert (await outcome()).status == "succeeded"


async def test_a_lost_command_can_never_be_carried_out(bus: Bus) -> None:
    accepted = Accepted(bus.publisher, bus.database, kept=60)
    envelope = envelope_of(MakeThing(name="one"))
    waiting = await waiting_of(bus, accepted, envelope)
    delivery = bus.delivery(COMMANDS)
    [entry] = await bus.read(delivery)  # a worker has it in hand
    await bus.redis.flushdb()
    assert await accepted.find(envelope.id, DOMAIN) is None
    verdict = await accepted.outcome(envelope.id, DOMAIN, waiting, user="usr_1", lost=LOST)
    assert verdict is not None
    assert verdict.failure == LOST
    await bus.handling({MakeThing: make_thing}).handle(entry, delivery, POLICY)
    assert (await bus.counts())["things"] == 0
    assert await find_outcome(bus.database, envelope.id, [DOMAIN]) == verdict


async def test_what_was_carried_out_is_not_lost(bus: Bus) -> None:
    envelope = envelope_of(MakeThing(name="one"))
    unit = UnitOfWork(envelope, DOMAIN)
    unit.succeed(None)
    await bus.committer.commit(unit)
    verdict = await settle(bus.database, envelope.id, DOMAIN, LOST, user="usr_1")
    assert verdict.status == "succeeded"


async def test_a_detached_command_is_not_judged_by_its_entry(bus: Bus) -> None:
    accepted = Accepted(bus.publisher, bus.database, kept=60)
    envelope = envelope_of(MakeThing(name="one"))
    waiting = await waiting_of(bus, accepted, envelope)
    await accepted.detach(envelope.id, DOMAIN)
    await bus.redis.xdel(COMMANDS, waiting.entry)
    found = await accepted.find(envelope.id, DOMAIN)
    assert found == Waiting("usr_1", COMMANDS, "")
    assert await accepted.outcome(envelope.id, DOMAIN, found, user="usr_1", lost=LOST) is None


def test_the_first_id_of_an_instant_comes_before_all_made_since() -> None:
    before = now()
    assert first_id("evt", before) <= new_id("evt")
    assert new_id("evt") < first_id("evt", now() + timedelta(seconds=1))


async def test_of_a_producers_events_those_are_published_again_that_somebody_reacts_to(
    bus: Bus,
) -> None:
    readers = Readers(
        READERS.events,
        READERS.commands,
        {"custom.*": ["one"]},
        READERS.observing,
        {"custom.*": lambda data: data["name"] != "2"},
    )
    recovery = recovery_of(bus, readers=readers)
    await recovery.tick()
    given = [event(number, type="custom.shop.changed") for number in range(4)]
    await log(bus, given[:1], "one")
    await log(bus, given[1:])
    await bus.redis.flushdb()
    assert await recovery.tick()
    published = {each.id for each in await bus.published("custom")}
    assert published == {given[1].id, given[3].id}
    assert set(await shown(bus)) == {given[0].id, given[2].id}
