"""From one delivery to its end: what becomes of a message, however its handler behaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, OperationFailure
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from bus import streams
from bus.broker import FIELD, encode
from bus.delivery import Entry
from bus.handling import FRESH_TRIES, GAVE_UP, Handling, Policy
from bus.outcomes import find_outcome
from bus.publisher import Publisher
from bus.unit_of_work import UnitOfWork
from contracts.base import Message, View
from contracts.envelope import Envelope
from contracts.errors import Retry
from contracts.sealed import Sealed
from tests.bus.probe import (
    COMMANDS,
    DEAD,
    DOMAIN,
    EVENT_STREAM,
    POLICY,
    Bus,
    MakeThing,
    Thing,
    ThingForgotten,
    ThingMade,
    ThingRefused,
    ThingView,
    UnheardOf,
    envelope_of,
    make_thing,
)

Table = dict[type[Message], Any]


async def handle_new(bus: Bus, handling: Handling, *, stream: str = COMMANDS) -> None:
    """Handle every new entry, at once."""
    delivery = bus.delivery(stream)
    entries = await bus.read(delivery)
    assert entries, f"nothing to read from {stream}"
    await asyncio.gather(*(handling.handle(entry, delivery, POLICY) for entry in entries))
    await delivery.settle()
    assert not delivery.in_hand, "an entry that has come to its end is still in hand"


async def handle_again(bus: Bus, handling: Handling, *, stream: str = COMMANDS) -> list[Entry]:
    """Handle what has become claimable."""
    delivery = bus.delivery(stream, consumer="another")
    entries = await bus.reclaimed(delivery)
    await asyncio.gather(*(handling.handle(entry, delivery, POLICY) for entry in entries))
    return entries


def counting(
    act: Callable[[Any, UnitOfWork], Awaitable[Any]],
) -> tuple[Callable[[Any, UnitOfWork], Awaitable[Any]], list[Any]]:
    calls: list[Any] = []

    async def counted(message: Any, uow: UnitOfWork) -> Any:
        calls.append(message)
        return await act(message, uow)

    return counted, calls


async def test_a_command_is_carried_out_published_answered_and_acknowledged(bus: Bus) -> None:
    envelope = envelope_of(MakeThing(name="one"), replyto=bus.replies.channel)
    with bus.replies.expect(envelope.id) as reply:
        await bus.put(envelope)
        await handle_new(bus, bus.handling({MakeThing: make_thing}))
        outcome = await asyncio.wait_for(reply, 5)
    assert outcome.status == "succeeded"
    assert outcome.result is not None
    assert outcome.result["name"] == "one"
    assert await bus.pending() == []
    assert [event.type for event in await bus.published()] == ["probe.thing.made"]
    assert await find_outcome(bus.database, envelope.id, ["other", DOMAIN]) == outcome
    assert await find_outcome(bus.database, "cmd_unknown", [DOMAIN]) is None
    await bus.committer.close()
    assert await bus.counts() == {"inbox": 1, "events": 1, "outbox": 0, "things": 1}


async def test_a_refusal_is_answered_acknowledged_and_never_repeated(bus: Bus) -> None:
    handler, calls = counting(make_thing)
    handling = bus.handling({MakeThing: handler})
    await bus.send(MakeThing(name="same"))
    await handle_new(bus, handling)
    refused = await bus.send(MakeThing(name="same"))
    await handle_new(bus, handling)
    assert len(calls) == 2
    assert await bus.pending() == []
    assert await bus.dead() == []
    failure = (await bus.outcome(refused.id)).failure
    assert failure is not None
    assert failure.code == "probe.thing_refused"
    assert (await bus.counts())["things"] == 1


async def test_a_refusal_that_is_returned_keeps_what_was_staged(bus: Bus) -> None:
    async def refuse_but_remember(command: MakeThing, uow: UnitOfWork) -> ThingRefused:
        await make_thing(command, uow)
        return ThingRefused("noted")

    sent = await bus.send(MakeThing(name="noted"))
    await handle_new(bus, bus.handling({MakeThing: refuse_but_remember}))
    outcome = await bus.outcome(sent.id)
    assert outcome.status == "failed"
    assert (await bus.counts())["things"] == 1
    assert len(await bus.published()) == 1
    assert await bus.pending() == []


async def test_a_refusal_that_is_raised_drops_what_was_staged(bus: Bus) -> None:
    done: list[str] = []

    async def stage_and_refuse(command: MakeThing, uow: UnitOfWork) -> View:
        await make_thing(command, uow)

        async def effect() -> None:
            done.append("effect")

        uow.effect(effect)
        raise ThingRefused()

    await bus.send(MakeThing(name="dropped"))
    await handle_new(bus, bus.handling({MakeThing: stage_and_refuse}))
    assert await bus.counts() == {"inbox": 1, "events": 0, "outbox": 0, "things": 0}
    assert done == []


async def test_asking_for_a_retry_is_never_counted(bus: Bus) -> None:
    async def later(command: MakeThing, uow: UnitOfWork) -> View:
        if len(calls) <= POLICY.max_deliveries + 2:
            raise Retry(0.01)
        return await make_thing(command, uow)

    handler, calls = counting(later)
    handling = bus.handling({MakeThing: handler})
    await bus.send(MakeThing(name="patient"))
    await handle_new(bus, handling)
    attempts = []
    while await bus.pending():
        attempts += [entry.attempt for entry in await handle_again(bus, handling)]
    assert set(attempts) == {1}
    assert len(calls) == POLICY.max_deliveries + 3
    assert (await bus.counts())["things"] == 1
    assert await bus.dead() == []


async def test_a_handler_that_always_raises_ends_as_a_dead_letter_and_its_neighbours_as_done(
    bus: Bus,
) -> None:
    async def choosy(command: MakeThing, uow: UnitOfWork) -> View:
        if command.name == "poison":
            raise ZeroDivisionError("on purpose")
        return await make_thing(command, uow)

    handler, calls = counting(choosy)
    handling = bus.handling({MakeThing: handler})
    for number in range(3):
        await bus.send(MakeThing(name=f"before {number}"))
    poison = envelope_of(MakeThing(name="poison"), replyto=bus.replies.channel)
    await bus.put(poison)
    for number in range(3):
        await bus.send(MakeThing(name=f"after {number}"))
    with bus.replies.expect(poison.id) as reply:
        with capture_logs():
            await handle_new(bus, handling)
            assert [entry["times_delivered"] for entry in await bus.pending()] == [1]
            while await bus.pending():
                await handle_again(bus, handling)
        told = await asyncio.wait_for(reply, 5)
    assert [call.name for call in calls].count("poison") == POLICY.max_deliveries
    assert len(calls) == POLICY.max_deliveries + 6
    assert (await bus.counts())["things"] == 6
    (letter,) = await bus.dead()
    assert letter["reason"] == "ZeroDivisionError: on purpose"
    assert letter["handler"] == "counted"
    assert letter["attempts"] == str(POLICY.max_deliveries)
    assert "ZeroDivisionError: on purpose" in letter["traceback"]
    assert "raise ZeroDivisionError" in letter["traceback"]
    assert (letter["stream"], letter["group"]) == (COMMANDS, DOMAIN)
    assert told.failure is not None
    assert told.failure.code == "internal_error"
    assert "ZeroDivision" not in told.failure.detail, "a caller learns nothing of the inside"
    assert await bus.outcome(poison.id) == told
    (raw,) = [fields[FIELD.encode()] for _, fields in await bus.redis.xrange(DEAD)]
    assert poison.id.encode() in raw, "the letter holds the message itself"


async def test_a_handler_that_outlives_its_time_counts_as_failed(bus: Bus) -> None:
    async def endless(_: MakeThing, __: UnitOfWork) -> View:
        await asyncio.Event().wait()
        raise AssertionError

    await bus.send(MakeThing(name="slow"))
    delivery = bus.delivery()
    (entry,) = await bus.read(delivery)
    hurried = Policy(max_deliveries=1, backoff_base=0.01, claim_after=0.3, timeout=0.05)
    with capture_logs():
        await bus.handling({MakeThing: endless}).handle(entry, delivery, hurried)
    (letter,) = await bus.dead()
    assert letter["reason"].startswith("TimeoutError")


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("gone"),
        RedisConnectionError("gone"),
        OperationFailure("no primary", 10107, {"errorLabels": ["RetryableWriteError"]}),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_while_a_server_is_away_no_attempt_is_counted(bus: Bus, error: Exception) -> None:
    async def unlucky(command: MakeThing, uow: UnitOfWork) -> View:
        if len(calls) <= POLICY.max_deliveries + 2:
            raise error
        return await make_thing(command, uow)

    handler, calls = counting(unlucky)
    handling = bus.handling({MakeThing: handler})
    await bus.send(MakeThing(name="patient"))
    with capture_logs():
        await handle_new(bus, handling)
        while await bus.pending():
            await handle_again(bus, handling)
    assert (await bus.counts())["things"] == 1
    assert await bus.dead() == []


@pytest.mark.parametrize(
    "error",
    [OperationFailure("unknown operator: $sze", 2), ResponseError("WRONGTYPE not a hash")],
    ids=lambda error: type(error).__name__,
)
async def test_what_a_server_refuses_is_the_handlers_fault_and_ends_as_a_dead_letter(
    bus: Bus, error: Exception
) -> None:
    """Otherwise a query with a mistake in it would be tried for ever."""

    async def mistaken(_: MakeThing, __: UnitOfWork) -> View:
        raise error

    handler, calls = counting(mistaken)
    handling = bus.handling({MakeThing: handler})
    await bus.send(MakeThing(name="poison"))
    with capture_logs():
        await handle_new(bus, handling)
        for _ in range(POLICY.max_deliveries + 2):
            if await bus.pending():
                await handle_again(bus, handling)
    assert await bus.pending() == [], f"after {len(calls)} calls it is still being tried"
    (letter,) = await bus.dead()
    assert letter["attempts"] == str(POLICY.max_deliveries)


@pytest.mark.parametrize(
    "fields",
    [
        {FIELD: b""},
        {FIELD: b"not json"},
        {FIELD: b"\x89BIN\x0d\x0a\x1a\x0a\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
        {FIELD: b"{}"},
        {FIELD: b'{"data": "x", "headers": 1}'},
        {FIELD: b"\xff\xfe" * 50},
        {FIELD: b"[" * 5000},
        {"other": b"field"},
        {FIELD: b'{"specversion":"1.0","id":"x","source":"s","type":"t","time":"never","data":{}}'},
    ],
    ids=range(9),
)
async def test_an_entry_that_cannot_be_read_is_buried_at_once(
    bus: Bus, fields: dict[str, bytes]
) -> None:
    await bus.redis.xadd(COMMANDS, fields)
    good = await bus.send(MakeThing(name="neighbour"))
    with capture_logs():
        await handle_new(bus, bus.handling({MakeThing: make_thing}))
    (letter,) = await bus.dead()
    assert letter["reason"] == "undecodable"
    assert ("raw" in letter) == (FIELD not in fields)
    assert await bus.pending() == []
    assert (await bus.outcome(good.id)).status == "succeeded"


async def test_a_command_nobody_handles_is_buried_and_its_caller_is_told(bus: Bus) -> None:
    envelope = envelope_of(UnheardOf(), replyto=bus.replies.channel)
    with bus.replies.expect(envelope.id) as reply:
        await bus.put(envelope)
        with capture_logs():
            await handle_new(bus, bus.handling({MakeThing: make_thing}))
        outcome = await asyncio.wait_for(reply, 5)
    assert outcome.status == "failed"
    (letter,) = await bus.dead()
    assert letter["reason"] == "no_handler"
    assert await bus.pending() == []


async def test_a_message_of_an_unknown_type_or_version_on_a_command_stream_is_buried(
    bus: Bus,
) -> None:
    known = envelope_of(MakeThing(name="one"))
    await bus.put(known.model_copy(update={"type": "probe.thing.unknown"}))
    await bus.put(known.model_copy(update={"dataversion": 7}))
    with capture_logs():
        await handle_new(bus, bus.handling({MakeThing: make_thing}))
    assert [letter["reason"] for letter in await bus.dead()] == ["no_handler"] * 2
    assert (await bus.counts())["things"] == 0


async def test_data_that_does_not_fit_the_contract_is_buried_without_showing_it(bus: Bus) -> None:
    envelope = envelope_of(MakeThing(name="one"), replyto=bus.replies.channel)
    wrong = envelope.model_copy(update={"data": {"name": "x" * 500, "more": "CONFIDENTIAL"}})
    with bus.replies.expect(wrong.id) as reply:
        await bus.put(wrong)
        with capture_logs() as logged:
            await handle_new(bus, bus.handling({MakeThing: make_thing}))
        assert (await asyncio.wait_for(reply, 5)).status == "failed"
    (letter,) = await bus.dead()
    assert letter["reason"] == "invalid_data"
    assert letter["handler"] == "make_thing"
    assert "name" in letter["traceback"], "it says which field"
    assert "CONFIDENTIAL" not in str(letter) + str(logged)


async def test_a_secret_is_sealed_in_stream_inbox_dead_letter_and_log(bus: Bus) -> None:
    secret = "correct horse battery staple"

    async def stumble(command: MakeThing, _: UnitOfWork) -> View:
        assert command.secret is not None
        revealed = command.secret.reveal()
        assert revealed == secret
        raise RuntimeError("stumbled")

    await bus.send(MakeThing(name="one", secret=Sealed(secret)))
    delivery = bus.delivery()
    (entry,) = await bus.read(delivery)
    once = Policy(max_deliveries=1, backoff_base=0.01, claim_after=0.3, timeout=5)
    with capture_logs() as logged:
        await bus.handling({MakeThing: stumble}).handle(entry, delivery, once)
    everywhere = [repr(entry), repr(logged)]
    everywhere += [repr(await bus.redis.dump(key)) for key in await bus.redis.keys("*")]
    for name in await bus.database.list_collection_names():
        everywhere += map(repr, await bus.database[name].find().to_list())
    assert len(await bus.dead()) == 1
    assert not [place for place in everywhere if secret in place]


async def test_a_delivery_of_what_was_handled_before_replies_as_then_and_changes_nothing(
    bus: Bus,
) -> None:
    handling = bus.handling({MakeThing: make_thing})
    envelope = envelope_of(MakeThing(name="one"), replyto=bus.replies.channel)
    await bus.put(envelope)
    await handle_new(bus, handling)
    await bus.put(envelope)  # as a publisher does that is not sure that it arrived
    with bus.replies.expect(envelope.id) as reply:
        await handle_new(bus, handling)
        outcome = await asyncio.wait_for(reply, 5)
    assert outcome == await bus.outcome(envelope.id)
    assert outcome.status == "succeeded", "not the refusal of the second try"
    assert await bus.pending() == []
    assert (await bus.counts())["things"] == 1
    assert len(await bus.published()) == 1


async def test_who_took_over_from_a_dead_consumer_does_not_run_what_that_had_committed(
    bus: Bus,
) -> None:
    """It died between commit and acknowledgement."""
    handler, calls = counting(make_thing)
    handling = bus.handling({MakeThing: handler})
    envelope = await bus.send(MakeThing(name="one"), replyto=bus.replies.channel)
    await bus.read(bus.delivery(consumer="dead"))
    unit = UnitOfWork(envelope, DOMAIN)
    unit.succeed(await make_thing(MakeThing(name="one"), unit))
    await bus.committer.commit(unit)
    with bus.replies.expect(envelope.id) as reply:
        await handle_again(bus, handling)
        assert (await asyncio.wait_for(reply, 5)).status == "succeeded"
    assert calls == []
    assert await bus.pending() == []


async def test_when_redis_is_lost_after_the_commit_neither_handler_nor_effect_is_repeated(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    effects: list[str] = []

    async def with_effect(command: MakeThing, uow: UnitOfWork) -> View:
        async def effect() -> None:
            effects.append(command.name)

        uow.effect(effect)
        return await make_thing(command, uow)

    handler, calls = counting(with_effect)
    publisher = Publisher(bus.redis, durable="always")
    handling = bus.handling({MakeThing: handler}, publisher=publisher)
    envelope = await bus.send(MakeThing(name="one"), replyto=bus.replies.channel)
    delivery = bus.delivery()
    (entry,) = await bus.read(delivery)

    async def lost(_: Any) -> Any:
        raise RedisConnectionError("gone")

    with capture_logs(), monkeypatch.context() as patch:
        # What follows a commit goes through here; parking goes through the delivery's own.
        patch.setattr(publisher.pipeline, "execute_all", lost)
        await handling.handle(entry, delivery, POLICY)
    assert (await bus.counts())["outbox"] == 1, "the relay has something to publish"
    with bus.replies.expect(envelope.id) as reply:
        await handle_again(bus, handling)
        assert (await asyncio.wait_for(reply, 5)).status == "succeeded"
    assert await bus.pending() == []
    assert len(calls) == 1, "the handler ran again although its unit was committed"
    assert effects == ["one"]


async def test_a_conflict_runs_the_handler_again_on_fresh_state(bus: Bus) -> None:
    """Two deliveries race for one name: the second sees what the first did."""
    arrived = asyncio.Barrier(2)

    async def racing(command: MakeThing, uow: UnitOfWork) -> View:
        view = await make_thing(command, uow)
        if len(calls) <= 2:
            await arrived.wait()
        return view

    handler, calls = counting(racing)
    sent = [await bus.send(MakeThing(name="wanted")) for _ in range(2)]
    await handle_new(bus, bus.handling({MakeThing: handler}))
    outcomes = [await bus.outcome(each.id) for each in sent]
    assert sorted(outcome.status for outcome in outcomes) == ["failed", "succeeded"]
    assert len(calls) == 3
    assert (await bus.counts())["things"] == 1
    assert await bus.pending() == []


async def test_what_stays_contended_is_parked_and_tried_again_uncounted(bus: Bus) -> None:
    await Thing(id="thg_hot", name="hot").insert()

    async def contended(command: MakeThing, uow: UnitOfWork) -> View:
        if len(calls) <= FRESH_TRIES:
            hot = await Thing.get("thg_hot")
            assert hot is not None
            await bus.database["things"].update_one({"_id": hot.id}, {"$inc": {"revision": 1}})
            uow.save(hot)
            return ThingView(id=hot.id, name=hot.name)
        return await make_thing(command, uow)

    handler, calls = counting(contended)
    handling = bus.handling({MakeThing: handler})
    await bus.send(MakeThing(name="wanted"))
    await handle_new(bus, handling)
    assert len(calls) == FRESH_TRIES
    assert [entry["times_delivered"] for entry in await bus.pending()] == [0]
    await handle_again(bus, handling)
    assert len(calls) == FRESH_TRIES + 1
    assert await bus.pending() == []


async def test_what_can_never_be_added_ends_as_a_dead_letter_and_not_as_a_loop(bus: Bus) -> None:
    await Thing(id="thg_first", name="taken").insert()

    async def blind(command: MakeThing, uow: UnitOfWork) -> View:
        thing = Thing(id=uow.new_id("thg"), name="taken")
        uow.add(thing)
        return ThingView(id=thing.id, name=thing.name)

    handler, calls = counting(blind)
    handling = bus.handling({MakeThing: handler})
    envelope = await bus.send(MakeThing(name="mine"))
    await handle_new(bus, handling)
    for _ in range(POLICY.max_deliveries - 1):
        await handle_again(bus, handling)
    assert await bus.pending() == []
    assert len(calls) == FRESH_TRIES * POLICY.max_deliveries
    (letter,) = await bus.dead()
    assert letter["reason"] == "Duplicate: a duplicate in things"
    assert letter["attempts"] == str(POLICY.max_deliveries)
    assert "Traceback" in letter["traceback"]
    assert (await bus.outcome(envelope.id)).failure == GAVE_UP


async def test_an_event_of_no_interest_is_acknowledged(bus: Bus) -> None:
    unit = UnitOfWork(envelope_of(MakeThing(name="one")), DOMAIN)
    unit.emit(ThingForgotten(thing_id="thg_1"))
    await bus.put(unit.events[0], EVENT_STREAM)
    await handle_new(bus, bus.handling({MakeThing: make_thing}), stream=EVENT_STREAM)
    assert await bus.pending(EVENT_STREAM) == []
    assert await bus.counts() == {"inbox": 0, "events": 0, "outbox": 0, "things": 0}
    assert await bus.dead() == []


async def test_a_reaction_that_decides_to_do_nothing_is_acknowledged_and_not_noted(
    bus: Bus,
) -> None:
    seen: list[str] = []

    async def look(event: ThingMade, uow: UnitOfWork) -> None:
        seen.append(event.name)

    unit = UnitOfWork(envelope_of(MakeThing(name="one")), DOMAIN)
    unit.emit(ThingMade(thing_id="thg_1", name="one"))
    await bus.put(unit.events[0], EVENT_STREAM)
    await handle_new(bus, bus.handling({ThingMade: look}), stream=EVENT_STREAM)
    assert seen == ["one"]
    assert await bus.pending(EVENT_STREAM) == []
    assert await bus.counts() == {"inbox": 0, "events": 0, "outbox": 0, "things": 0}


async def test_a_reaction_sends_a_command_on_behalf_of_who_caused_the_event(bus: Bus) -> None:
    async def make_another(event: ThingMade, uow: UnitOfWork) -> None:
        uow.send(MakeThing(name=f"{event.name} again"))

    unit = UnitOfWork(envelope_of(MakeThing(name="one")), DOMAIN)
    unit.emit(ThingMade(thing_id="thg_1", name="one"))
    event = unit.events[0]
    await bus.put(event, EVENT_STREAM)
    await bus.put(event, EVENT_STREAM)  # the relay repeats itself
    await handle_new(bus, bus.handling({ThingMade: make_another}), stream=EVENT_STREAM)
    delivery = bus.delivery()
    sent = [Envelope.model_validate_json(_body(entry)) for entry in await bus.read(delivery)]
    assert [(each.actor, each.org, each.causationid) for each in sent] == [
        (event.actor, event.org, event.id)
    ]
    assert sent[0].correlationid == event.correlationid
    assert sent[0].data == {"name": "one again"}
    assert await bus.pending(EVENT_STREAM) == []


def _body(entry: Entry) -> bytes:
    from bus.broker import decode

    return decode(entry.fields)


async def test_an_event_that_was_handled_is_no_dead_letter_however_often_it_was_delivered(
    bus: Bus,
) -> None:
    async def react(_: ThingMade, __: UnitOfWork) -> None: ...

    unit = UnitOfWork(envelope_of(MakeThing(name="one")), DOMAIN)
    unit.emit(ThingMade(thing_id="thg_1", name="one"))
    await bus.put(unit.events[0], EVENT_STREAM)
    delivery = bus.delivery(EVENT_STREAM)
    (entry,) = await bus.read(delivery)
    await bus.committer.commit(UnitOfWork(unit.events[0], DOMAIN))
    worn_out = Entry(entry.id, entry.fields, POLICY.max_deliveries + 1)
    with capture_logs():
        await bus.handling({ThingMade: react}).handle(worn_out, delivery, POLICY)
    assert await bus.dead() == []
    assert await bus.pending(EVENT_STREAM) == []


async def test_what_killed_every_consumer_that_had_it_is_buried_without_being_run(
    bus: Bus,
) -> None:
    handler, calls = counting(make_thing)
    envelope = await bus.send(MakeThing(name="killer"), replyto=bus.replies.channel)
    for number in range(POLICY.max_deliveries):
        dying = bus.delivery(consumer=f"dying {number}", claim_after=0.01)
        found = await bus.read(dying) if number == 0 else await bus.reclaimed(dying)
        assert [entry.attempt for entry in found] == [number + 1]
    with bus.replies.expect(envelope.id) as reply:
        with capture_logs():
            await handle_again(bus, bus.handling({MakeThing: handler}))
        assert (await asyncio.wait_for(reply, 5)).status == "failed"
    assert calls == []
    (letter,) = await bus.dead()
    assert letter["reason"] == "deliveries_exhausted"
    assert letter["attempts"] == str(POLICY.max_deliveries)
    assert await bus.pending() == []


async def test_an_observer_sees_every_event_known_or_not_and_again_when_it_failed(
    bus: Bus,
) -> None:
    seen: list[str] = []

    async def observe(envelopes: Sequence[Envelope]) -> None:
        seen.extend(envelope.type for envelope in envelopes)
        if len(seen) == 1:
            raise RuntimeError("not yet")

    handling = bus.handling({}, observer=observe)
    envelope = envelope_of(MakeThing(name="one")).model_copy(update={"type": "custom.any.thing"})
    await bus.put(envelope, EVENT_STREAM)
    with capture_logs():
        await handle_new(bus, handling, stream=EVENT_STREAM)
        await handle_again(bus, handling, stream=EVENT_STREAM)
    assert seen == ["custom.any.thing"] * 2
    assert await bus.pending(EVENT_STREAM) == []


async def test_a_cancelled_handling_leaves_its_entry_pending_and_nothing_written(bus: Bus) -> None:
    begun = asyncio.Event()

    async def hanging(command: MakeThing, uow: UnitOfWork) -> View:
        view = await make_thing(command, uow)
        begun.set()
        await asyncio.Event().wait()
        return view

    await bus.send(MakeThing(name="one"))
    delivery = bus.delivery()
    (entry,) = await bus.read(delivery)
    task = asyncio.create_task(bus.handling({MakeThing: hanging}).handle(entry, delivery, POLICY))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await bus.counts() == {"inbox": 0, "events": 0, "outbox": 0, "things": 0}
    assert len(await bus.pending()) == 1


async def test_handle_raises_nothing_even_when_the_servers_are_away(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither carried out, nor parked, nor buried: it stays pending, and nothing is raised."""

    async def away(*_: Any, **__: Any) -> Any:
        raise AutoReconnect("gone")

    await bus.send(UnheardOf())
    delivery = bus.delivery()
    (entry,) = await bus.read(delivery)
    with monkeypatch.context() as patch, capture_logs():
        patch.setattr(bus.committer, "_transact", away)
        await bus.handling({MakeThing: make_thing}).handle(entry, delivery, POLICY)
    assert delivery.in_hand == {}
    assert len(await bus.pending()) == 1
    assert await bus.dead() == []


async def test_backoff_grows_with_jitter_and_never_past_the_takeover() -> None:
    policy = Policy(max_deliveries=9, backoff_base=0.2, claim_after=8.0)
    for attempt in range(1, 12):
        delays = {policy.backoff(attempt) for _ in range(50)}
        ceiling = min(8.0, 0.2 * 2**attempt)
        assert all(ceiling / 2 <= delay <= ceiling for delay in delays)
        assert len(delays) > 10


async def test_each_published_command_goes_to_its_lane(bus: Bus) -> None:
    from tests.bus.probe import BroodOverThing

    await bus.publisher.publish(
        [envelope_of(BroodOverThing(name="one")), envelope_of(MakeThing(name="two"))]
    )
    assert await bus.redis.xlen(streams.commands(DOMAIN, "slow")) == 1
    assert await bus.redis.xlen(COMMANDS) == 1


async def test_an_entry_is_in_faststreams_format_and_its_headers_in_ascii(bus: Bus) -> None:
    from faststream.redis.parser import BinaryMessageFormatV1

    envelope = envelope_of(MakeThing(name="ünïcode"))
    value = encode(envelope.wire(), id=envelope.id, correlation=None)
    body, headers = BinaryMessageFormatV1.parse(value)
    assert headers["message_id"] == headers["correlation_id"] == envelope.id
    assert all(str(each).isascii() for each in headers.values())
    assert Envelope.model_validate_json(body) == envelope
