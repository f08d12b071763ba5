"""A group that only observes is shown what was read together, in order, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from bus import streams
from bus.broker import FIELD, ensure_group, make_broker
from bus.delivery import Delivery, Entry
from bus.handling import Observer, Policy
from bus.sole import Sole
from bus.tasks import end
from bus.worker import Lane, Worker
from contracts.envelope import Envelope
from tests.bus.probe import DOMAIN, Bus, MakeThing, envelope_of, until

EVENTS = streams.events(DOMAIN)
POLICY = Policy(max_deliveries=3, backoff_base=0.01, claim_after=1.0, timeout=20.0)

Watching = Callable[[Observer], Any]


@pytest.fixture
async def watch(bus: Bus, bus_redis_url: str) -> AsyncIterator[Watching]:
    """Starts workers that only observe; stops them."""
    started: list[Worker] = []

    async def start(observer: Observer) -> Worker:
        worker = Worker(
            make_broker(bus_redis_url),
            bus.redis,
            bus.pipeline,
            [Lane(EVENTS, bus.handling({}, observer=observer), POLICY, 64)],
            heartbeat=0.2,
            drain_grace=5.0,
        )
        await worker.start()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        await worker.stop()


def noting(shown: list[str], pause: Callable[[], float] = lambda: 0.0) -> Observer:
    """Notes the types it is shown, each time after a pause of so many seconds."""

    async def observe(envelopes: Sequence[Envelope]) -> None:
        await asyncio.sleep(pause())
        shown.extend(each.type for each in envelopes)

    return observe


def sole_of(worker: Worker) -> Sole:
    turns = worker.lanes[0].turns
    assert turns is not None
    return turns.sole


async def publish(bus: Bus, count: int) -> list[str]:
    """Put events on the stream before anybody reads; their types, in order."""
    await ensure_group(bus.redis, EVENTS, DOMAIN)
    types = [f"custom.number.n{number}" for number in range(count)]
    for type in types:
        await bus.put(envelope_of(MakeThing(name="one")).model_copy(update={"type": type}), EVENTS)
    return types


async def nothing_pending(bus: Bus) -> None:
    async def none() -> Any:
        return await bus.pending(EVENTS) == []

    await until(none, "nothing is pending")


async def test_what_is_read_together_is_shown_together_and_in_order(
    bus: Bus, watch: Watching
) -> None:
    calls: list[list[str]] = []

    async def observe(envelopes: Sequence[Envelope]) -> None:
        calls.append([each.type for each in envelopes])

    types = await publish(bus, 100)
    await watch(observe)
    await until(lambda: _reached(calls, 100), "all are shown")
    assert [type for call in calls for type in call] == types
    assert len(calls) < 10
    await nothing_pending(bus)


async def _reached(calls: list[list[str]], count: int) -> bool:
    return sum(map(len, calls)) >= count


async def test_one_that_cannot_be_shown_harms_only_itself(bus: Bus, watch: Watching) -> None:
    seen: list[str] = []

    async def observe(envelopes: Sequence[Envelope]) -> None:
        if any(each.type.endswith(".n7") for each in envelopes):
            raise RuntimeError("not that one")
        seen.extend(each.type for each in envelopes)

    types = await publish(bus, 20)
    with capture_logs():
        await watch(observe)
        await nothing_pending(bus)
    assert sorted(set(seen)) == sorted(set(types) - {"custom.number.n7"})
    letters = await bus.redis.xrange(streams.dead(DOMAIN))
    assert len(letters) == 1
    assert b"not that one" in letters[0][1][b"reason"]


async def test_one_that_cannot_be_read_is_buried_and_its_neighbours_are_shown(
    bus: Bus, watch: Watching
) -> None:
    seen: list[str] = []

    observe = noting(seen)
    types = await publish(bus, 5)
    await bus.redis.xadd(EVENTS, {FIELD: b"not an envelope"})
    types += await publish(bus, 5)
    with capture_logs():
        await watch(observe)
        await nothing_pending(bus)
    assert seen == types
    assert await bus.redis.xlen(streams.dead(DOMAIN)) == 1


async def test_what_is_being_shown_when_the_worker_stops_is_finished(
    bus: Bus, watch: Watching
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def observe(envelopes: Sequence[Envelope]) -> None:
        begun.set()
        await go.wait()
        seen.extend(each.type for each in envelopes)

    types = await publish(bus, 10)
    worker = await watch(observe)
    await asyncio.wait_for(begun.wait(), 10)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    go.set()
    await asyncio.wait_for(stopping, 10)
    assert seen == types
    assert await bus.pending(EVENTS) == []


async def test_what_is_shown_one_after_the_other_is_acknowledged_together(
    bus: Bus, watch: Watching
) -> None:
    seen: list[str] = []

    observe = noting(seen)
    worker = await watch(observe)
    before = await _calls(bus, "xack")
    types: list[str] = []
    for _ in range(50):
        types += await publish(bus, 1)
    await until(lambda: _shown(seen, 50), "all are shown")
    await nothing_pending(bus)
    assert seen == types
    assert 0 < await _calls(bus, "xack") - before < 50
    await worker.stop()
    assert worker.lanes[0].delivery.in_hand == {}


async def _calls(bus: Bus, command: str) -> int:
    """How often the server has been asked for something."""
    stats = await bus.redis.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def _shown(seen: list[str], count: int) -> bool:
    return len(seen) >= count


async def test_what_could_not_be_acknowledged_can_be_claimed_again(bus: Bus) -> None:
    delivery = Delivery(bus.redis, bus.pipeline, "test:{other}", DOMAIN, "me", claim_after=1.0)
    await bus.redis.set("test:{other}", "no stream")
    assert delivery.take("1-1")
    with capture_logs() as logs:
        delivery.ack_soon(["1-1"])
        await delivery.settle()
    assert delivery.in_hand == {}
    assert [each["event"] for each in logs] == ["not_acknowledged"]


async def test_what_a_dead_consumer_had_in_hand_is_shown_before_what_came_after_it(
    bus: Bus, watch: Watching
) -> None:
    shown: list[str] = []

    observe = noting(shown)
    types = await publish(bus, 9)
    for dead in ("first", "second"):
        await bus.redis.xreadgroup(DOMAIN, dead, {EVENTS: ">"}, count=2)
    worker = await watch(observe)
    await until(lambda: _true(len(shown) == 9), "all are shown")
    assert shown == types
    assert worker.ready
    await nothing_pending(bus)


async def test_what_one_takes_over_from_the_dead_another_waits_for(
    bus: Bus, watch: Watching
) -> None:
    shown: list[str] = []

    observe = noting(shown, lambda: 0.2)
    types = await publish(bus, 4)
    for dead in ("first", "second"):  # who took over from somebody before dying
        [[_, read]] = await bus.redis.xreadgroup(DOMAIN, dead, {EVENTS: ">"}, count=2)
        await bus.redis.xclaim(EVENTS, DOMAIN, dead, 0, [id for id, _ in read])
    await watch(observe)
    types += await publish(bus, 2)
    await watch(observe)
    types += await publish(bus, 2)
    await until(lambda: _true(len(shown) >= len(types)), "all are shown")
    assert shown == types


@pytest.mark.parametrize("deaths", [2, 3])
async def test_what_went_down_with_several_consumers_is_shown_in_its_place(
    bus: Bus, watch: Watching, deaths: int
) -> None:
    shown: list[str] = []
    calls: list[int] = []

    async def observe(envelopes: Sequence[Envelope]) -> None:
        await asyncio.sleep(0.01)
        shown.extend(each.type for each in envelopes)
        calls.append(len(envelopes))

    types = await publish(bus, 4)
    [[_, read]] = await bus.redis.xreadgroup(DOMAIN, "dead", {EVENTS: ">"}, count=4)
    for _ in range(deaths - 1):
        await bus.redis.xclaim(EVENTS, DOMAIN, "dead", 0, [id for id, _ in read])
    types += await publish(bus, 3)
    with capture_logs() as logs:
        await watch(observe)
        await watch(observe)
        await nothing_pending(bus)
        await until(lambda: _true(types[-1] in shown), "what came after it is shown")
    buried = [each for each in logs if each["event"] == "dead_letter"]
    if deaths == POLICY.max_deliveries:
        assert (shown, len(buried)) == (types[4:], 4)
    else:
        assert (shown, len(buried)) == (types, 0)
        assert calls[:4] == [1, 1, 1, 1], "what may have killed them is shown by itself"


async def test_what_somebody_alive_has_in_hand_is_waited_for_before_what_the_dead_had_later(
    bus: Bus, watch: Watching
) -> None:
    shown: list[str] = []

    observe = noting(shown)
    types = await publish(bus, 4)
    [[_, [(first, _)]]] = await bus.redis.xreadgroup(DOMAIN, "alive", {EVENTS: ">"}, count=1)
    [[_, read]] = await bus.redis.xreadgroup(DOMAIN, "dead", {EVENTS: ">"}, count=2)
    long_ago = int(POLICY.claim_after * 1000) + 1
    await bus.redis.xclaim(EVENTS, DOMAIN, "dead", 0, [id for id, _ in read], idle=long_ago)

    async def live() -> None:
        while True:
            await bus.redis.xclaim(EVENTS, DOMAIN, "alive", 0, [first], idle=0, justid=True)
            await asyncio.sleep(0.1)

    living = asyncio.create_task(live())
    await watch(observe)
    await asyncio.sleep(POLICY.claim_after / 2)
    assert shown == []
    await end(living)
    shown.append(types[0])
    await bus.redis.xack(EVENTS, DOMAIN, first)
    await until(lambda: _true(len(shown) == 4), "all are shown")
    assert shown == types


async def test_two_consumers_show_in_the_order_of_the_stream(bus: Bus, watch: Watching) -> None:
    shown: list[str] = []

    observe = noting(shown, lambda: random.uniform(0, 0.01))
    await watch(observe)
    await watch(observe)
    types = [type for _ in range(20) for type in await publish(bus, 20)]
    await until(lambda: _true(len(shown) == len(types)), "all are shown")
    assert shown == types


async def test_who_is_alone_shows_without_asking_who_else_is_there(
    bus: Bus, watch: Watching
) -> None:
    shown: list[str] = []

    observe = noting(shown)
    worker = await watch(observe)
    sole = sole_of(worker)
    await until(lambda: _true(sole.now), "it knows that it is alone")
    before = await _calls(bus, "xpending")
    types: list[str] = []
    for _ in range(40):
        types += await publish(bus, 1)
        await until(partial(_all, shown, types), "it is shown")
    assert shown == types
    assert await _calls(bus, "xpending") - before < 20


async def test_others_that_come_and_go_under_load_are_noticed(bus: Bus, watch: Watching) -> None:
    shown: list[str] = []

    observe = noting(shown, lambda: random.uniform(0, 0.01))
    types: list[str] = []
    ending = asyncio.Event()

    async def go_on() -> None:
        while not ending.is_set():
            types.extend(await publish(bus, 3))

    first = await watch(observe)
    going = asyncio.create_task(go_on())
    for _ in range(2):
        other = await watch(observe)
        assert not sole_of(first).now
        reached = len(types) + 100
        await until(lambda many=reached: _true(len(types) > many), "it goes on")
        await other.stop()
        await until(lambda: _true(sole_of(first).now), "it is alone again")
    ending.set()
    await going
    await until(lambda: _true(len(shown) >= len(types)), "all are shown")
    assert shown == types


async def test_who_dies_is_not_taken_for_one_who_left(bus: Bus, watch: Watching) -> None:
    async def observe(envelopes: Sequence[Envelope]) -> None:
        pass

    await ensure_group(bus.redis, EVENTS, DOMAIN)
    await bus.redis.xgroup_createconsumer(EVENTS, DOMAIN, "dead")
    worker = await watch(observe)
    await sole_of(worker).look()
    assert not sole_of(worker).now


async def test_what_is_handed_back_is_shown_before_what_came_after_it(
    bus: Bus, watch: Watching
) -> None:
    shown: list[str] = []

    observe = noting(shown)
    types = await publish(bus, 6)
    [[_, read]] = await bus.redis.xreadgroup(DOMAIN, "leaving", {EVENTS: ">"}, count=2)
    leaving = Delivery(bus.redis, bus.pipeline, EVENTS, DOMAIN, "leaving", POLICY.claim_after)
    await leaving.hand_back([Entry(id.decode(), {}, attempt=1) for id, _ in read])
    await watch(observe)
    await until(lambda: _true(len(shown) == 6), "all are shown")
    assert shown == types


async def test_what_cannot_be_observed_does_not_hold_up_what_comes_after_it(
    bus: Bus, watch: Watching
) -> None:
    shown: list[str] = []

    async def observe(envelopes: Sequence[Envelope]) -> None:
        if any(each.type == "custom.number.n1" for each in envelopes):
            raise RuntimeError("not this one")
        shown.extend(each.type for each in envelopes)

    await publish(bus, 3)
    with capture_logs():
        await watch(observe)
        await until(lambda: _true(len(shown) == 2), "the others are shown")
        later = await publish(bus, 1)
        await until(lambda: _true(shown[-1:] == later), "what comes later is shown")


async def _all(shown: list[str], types: list[str]) -> bool:
    return len(shown) == len(types)


async def _true(value: bool) -> bool:
    return value
