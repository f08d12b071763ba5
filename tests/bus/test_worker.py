"""A worker that reads: slots, takeover, drain, and groups that vanish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from bus import streams
from bus.broker import ensure_group, make_broker
from bus.handling import Policy
from bus.unit_of_work import UnitOfWork
from bus.worker import Lane, Worker
from contracts.base import Message, View
from contracts.errors import Retry
from tests.bus.probe import (
    COMMANDS,
    DOMAIN,
    BroodOverThing,
    Bus,
    MakeThing,
    Thing,
    make_thing,
    until,
)

SLOW = streams.commands(DOMAIN, "slow")
POLICY = Policy(max_deliveries=3, backoff_base=0.01, claim_after=1.0, timeout=20.0)

Running = Callable[..., Any]


@pytest.fixture
async def run(bus: Bus, bus_redis_url: str) -> AsyncIterator[Running]:
    """Starts workers; stops what a test has left running."""
    started: list[Worker] = []

    async def start(
        table: dict[type[Message], Any],
        *,
        slots: int = 16,
        slow_slots: int = 2,
        grace: float = 5.0,
        policy: Policy = POLICY,
    ) -> Worker:
        lanes = [
            Lane(COMMANDS, bus.handling(table), policy, slots),
            Lane(SLOW, bus.handling(table), policy, slow_slots),
        ]
        worker = Worker(
            make_broker(bus_redis_url),
            bus.redis,
            bus.pipeline,
            lanes,
            heartbeat=0.2,
            drain_grace=grace,
        )
        await worker.start()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        await worker.stop()


async def made(bus: Bus, count: int, *, seconds: float = 15.0) -> None:
    async def missing() -> str:
        there = await Thing.count()
        return f"{there} there, pending {await bus.pending()}" if there < count else ""

    async def all_there() -> bool:
        return await Thing.count() >= count

    try:
        await until(all_there, f"{count} things made", seconds=seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {await missing()}") from None
    assert await Thing.count() == count


async def nothing_pending(bus: Bus, stream: str = COMMANDS) -> None:
    async def none() -> bool:
        return await bus.pending(stream) == []

    await until(none, f"nothing pending in {stream}")


@asynccontextmanager
async def quiet() -> AsyncIterator[list[Any]]:
    with capture_logs() as logged:
        yield logged


async def test_what_was_sent_before_the_group_existed_is_handled(bus: Bus, run: Running) -> None:
    for number in range(30):
        await bus.send(MakeThing(name=f"thing {number}"))
    worker = await run({MakeThing: make_thing})
    assert worker.ready
    await made(bus, 30)
    await nothing_pending(bus)


async def test_no_more_handlers_run_at_once_than_there_are_slots(bus: Bus, run: Running) -> None:
    running, most = 0, 0

    async def counted(command: MakeThing, uow: UnitOfWork) -> View:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return await make_thing(command, uow)

    await run({MakeThing: counted}, slots=4)
    for number in range(40):
        await bus.send(MakeThing(name=f"thing {number}"))
    await made(bus, 40)
    assert most == 4


async def test_a_full_slow_lane_does_not_hold_up_the_fast_one_nor_its_retries(
    bus: Bus, run: Running
) -> None:
    brooding, enough = asyncio.Event(), asyncio.Event()

    async def brood(_: BroodOverThing, __: UnitOfWork) -> None:
        brooding.set()
        await enough.wait()

    tried: list[str] = []

    async def second_time(command: MakeThing, uow: UnitOfWork) -> View:
        tried.append(command.name)
        if tried.count(command.name) == 1:
            raise Retry(0.01)
        return await make_thing(command, uow)

    # What a worker that died had taken of the slow lane; claimable, and there is no slot.
    for number in range(4):
        await bus.send(BroodOverThing(name=f"left {number}"))
    await bus.read(bus.delivery(SLOW, consumer="dead"))
    await asyncio.sleep(POLICY.claim_after)
    for number in range(2):
        await bus.send(BroodOverThing(name=f"new {number}"))
    await run({MakeThing: second_time, BroodOverThing: brood})
    await brooding.wait()
    await asyncio.sleep(1.0)  # the slow lane's takeover has had its turn, and waits
    for number in range(5):
        await bus.send(MakeThing(name=f"thing {number}"))
    await made(bus, 5, seconds=5)
    enough.set()
    await nothing_pending(bus, SLOW)


async def test_a_backlog_does_not_keep_a_retry_waiting_until_it_is_worked_off(
    bus: Bus, run: Running
) -> None:
    sent, done_when = 250, []

    async def slowly(command: MakeThing, uow: UnitOfWork) -> View:
        if command.name == "retried" and not done_when:
            done_when.append(-1)
            raise Retry(0.01)
        if command.name == "retried":
            done_when.append(handled)
        await tick(command)
        return await make_thing(command, uow)

    handled = 0

    async def tick(_: MakeThing) -> None:
        nonlocal handled
        handled += 1
        await asyncio.sleep(0.03)

    await bus.send(MakeThing(name="retried"))
    for number in range(sent):
        await bus.send(MakeThing(name=f"thing {number}"))
    await run({MakeThing: slowly}, slots=4)
    await made(bus, sent + 1, seconds=25)
    assert done_when[1] < sent * 0.75, f"it came after {done_when[1]} of {sent} others"


async def test_a_dead_workers_messages_are_finished_by_another(bus: Bus, run: Running) -> None:
    for number in range(20):
        await bus.send(MakeThing(name=f"thing {number}"))
    assert len(await bus.read(bus.delivery(consumer="dead"))) == 20
    began = time.monotonic()
    await run({MakeThing: make_thing})
    await made(bus, 20)
    assert time.monotonic() - began >= POLICY.claim_after * 0.8, "not before it may be dead"
    await nothing_pending(bus)


async def test_a_handler_longer_than_the_takeover_runs_once(bus: Bus, run: Running) -> None:
    runs: list[str] = []

    async def long(command: BroodOverThing, uow: UnitOfWork) -> None:
        runs.append(command.name)
        await asyncio.sleep(POLICY.claim_after * 2.5)
        uow.add(Thing(id=uow.new_id("thg"), name=command.name))

    table = {BroodOverThing: long}
    await run(table)
    await run(table)
    await bus.send(BroodOverThing(name="one"))
    await made(bus, 1)
    assert runs == ["one"]
    await nothing_pending(bus, SLOW)
    assert (await bus.counts())["inbox"] == 1


async def test_draining_finishes_what_runs_reads_no_more_and_hands_back_the_rest(
    bus: Bus, run: Running
) -> None:
    begun = asyncio.Event()
    names: list[str] = []

    async def steady(command: MakeThing, uow: UnitOfWork) -> View:
        names.append(command.name)
        begun.set()
        await asyncio.sleep(0.3)
        return await make_thing(command, uow)

    worker = await run({MakeThing: steady}, slots=4)
    backlog = 600
    pipe = [bus.send(MakeThing(name=f"thing {number}")) for number in range(backlog)]
    await asyncio.gather(*pipe)
    await begun.wait()
    began = time.monotonic()
    await worker.stop()
    assert time.monotonic() - began < 2
    assert not worker.ready
    finished = len(names)
    assert await Thing.count() == finished, "what had begun is finished"
    pending = await bus.pending()
    assert len(pending) <= 12, f"{len(pending)} of {backlog} were read in vain"
    assert all(row["times_delivered"] == 0 for row in pending), "never begun, so no attempt"
    # Another has them at once: it need not wait until they may be claimed.
    again = await bus.delivery(consumer="two", claim_after=POLICY.claim_after).reclaim(100)
    assert len(again) == len(pending)
    assert {entry.attempt for entry in again} <= {1}


async def test_what_is_read_at_the_very_moment_of_a_stop_is_handed_back(
    bus: Bus, run: Running
) -> None:
    patient = Policy(max_deliveries=3, backoff_base=0.01, claim_after=60.0, timeout=20.0)
    sent = 0
    for _ in range(3):
        worker = await run({MakeThing: make_thing}, policy=patient)
        stopping = asyncio.create_task(worker.stop())
        while not stopping.done():
            await bus.send(MakeThing(name=f"thing {sent}"))
            sent += 1
        await stopping
        kept = [row for row in await bus.pending() if row["consumer"] == worker.consumer.encode()]
        assert not kept, "nobody could have it before a minute is over"
    await run({MakeThing: make_thing}, policy=patient)
    await made(bus, sent, seconds=30)
    await nothing_pending(bus)


async def test_a_handler_that_outlives_the_grace_is_cut_and_handed_back(
    bus: Bus, run: Running
) -> None:
    begun = asyncio.Event()

    async def endless(_: MakeThing, __: UnitOfWork) -> View:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    worker = await run({MakeThing: endless}, grace=0.2)
    await bus.send(MakeThing(name="one"))
    await begun.wait()
    await worker.stop()
    (row,) = await bus.pending()
    assert row["times_delivered"] == 0
    await run({MakeThing: make_thing})
    await made(bus, 1, seconds=5)


@pytest.mark.parametrize("lost", ["group", "everything"])
async def test_a_worker_whose_group_vanished_reads_on(bus: Bus, run: Running, lost: str) -> None:
    worker = await run({MakeThing: make_thing})
    await bus.send(MakeThing(name="before"))
    await made(bus, 1)
    async with quiet():
        if lost == "group":
            await bus.redis.xgroup_destroy(COMMANDS, DOMAIN)
        else:
            await bus.redis.flushdb()
        await bus.send(MakeThing(name="after"))
        await made(bus, 2, seconds=10)
        await until(lambda: worker.ready, "the worker to be ready again")
        await bus.send(MakeThing(name="later"))
        await made(bus, 3, seconds=10)
    await nothing_pending(bus)


async def test_a_reader_that_redis_refuses_does_not_spin_and_reads_on_afterwards(
    bus: Bus, run: Running
) -> None:
    async def refused() -> int:
        statistics = await bus.redis.info("commandstats")
        return int(statistics["cmdstat_xreadgroup"]["rejected_calls"])

    worker = await run({MakeThing: make_thing})
    await bus.send(MakeThing(name="before"))
    await made(bus, 1)
    before = await refused()
    await bus.redis.config_set("min-replicas-to-write", 1)
    try:

        async def both_refused() -> bool:
            return await refused() >= before + 2

        await until(both_refused, "both lanes to be refused")
        at_first = await refused()
        await asyncio.sleep(1)
        assert await refused() - at_first < 10, "it asks again and again"
    finally:
        await bus.redis.config_set("min-replicas-to-write", 0)
    await bus.send(MakeThing(name="after"))
    await made(bus, 2, seconds=30)
    assert worker.ready


async def test_a_lane_whose_stream_is_broken_does_not_stop_the_heartbeat_of_another(
    bus: Bus, run: Running
) -> None:
    begun, enough = asyncio.Event(), asyncio.Event()

    async def brood(command: BroodOverThing, uow: UnitOfWork) -> None:
        begun.set()
        await enough.wait()
        uow.add(Thing(id=uow.new_id("thg"), name=command.name))

    worker = await run({MakeThing: make_thing, BroodOverThing: brood})
    await bus.send(BroodOverThing(name="one"))
    await begun.wait()
    async with quiet():
        # The fast lane comes first; its upkeep fails from now on.
        worker.lanes[0].delivery.in_hand["1-1"] = 0.0
        await bus.redis.delete(COMMANDS)
        await bus.redis.set(COMMANDS, "not a stream")
        await asyncio.sleep(POLICY.claim_after * 1.5)
        other = bus.delivery(SLOW, consumer="two", claim_after=POLICY.claim_after)
        assert await other.reclaim(10) == [], "it was taken over although its handler lives"
        await bus.redis.delete(COMMANDS)
        await ensure_group(bus.redis, COMMANDS, DOMAIN)
        worker.lanes[0].delivery.in_hand.clear()
        enough.set()
        await made(bus, 1)


async def test_two_workers_share_a_stream_and_nothing_is_done_twice(bus: Bus, run: Running) -> None:
    handled: list[str] = []

    def by(name: str) -> Callable[[MakeThing, UnitOfWork], Awaitable[View]]:
        async def handler(command: MakeThing, uow: UnitOfWork) -> View:
            handled.append(name)
            await asyncio.sleep(0.002)
            return await make_thing(command, uow)

        return handler

    await run({MakeThing: by("a")}, slots=8)
    await run({MakeThing: by("b")}, slots=8)
    await asyncio.gather(*(bus.send(MakeThing(name=f"thing {n}")) for n in range(200)))
    await made(bus, 200)
    await nothing_pending(bus)
    assert len(handled) == 200
    assert set(handled) == {"a", "b"}
    assert len(await bus.published()) == 200
