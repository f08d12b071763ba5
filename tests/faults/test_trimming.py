"""Trimming drops nothing that somebody needs, and nothing else grows for ever."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus import streams, worker
from bus.broker import FIELD, encode, ensure_group, make_broker
from bus.feed.pushing import Pusher, Pushes
from bus.replay.lane import Redrive, ReplayHandling, feed
from bus.tasks import end
from bus.trim import forget_consumers, trim
from bus.unit_of_work import UnitOfWork
from bus.worker import Lane, Worker
from contracts.envelope import Envelope
from handlers.routing import route
from tests.bus.conftest import _contracts_and_keys, bus, bus_redis_url
from tests.bus.probe import (
    COMMANDS,
    DOMAIN,
    EVENT_STREAM,
    POLICY,
    Bus,
    MakeThing,
    ThingForgotten,
    envelope_of,
    until,
)

__all__ = ["_contracts_and_keys", "bus", "bus_redis_url"]

GROUPS = ("one", "two", "three")

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 250)),
        st.tuples(st.just("join"), st.sampled_from(GROUPS)),
        st.tuples(st.just("read"), st.sampled_from(GROUPS), st.integers(1, 300)),
        # A number picks which of those in hand: the oldest, the newest, every other …
        st.tuples(st.just("ack"), st.sampled_from(GROUPS), st.integers(1, 5)),
        st.tuples(st.just("take over"), st.sampled_from(GROUPS), st.integers(1, 100)),
        st.tuples(st.just("trim")),
    ),
    min_size=5,
    max_size=25,
)


class Model:
    """A stream, and what each of its groups has not acknowledged."""

    def __init__(self, bus: Bus) -> None:
        self.redis = bus.redis
        self.all: list[str] = []
        self.needed: dict[str, set[str]] = {}
        self.in_hand: dict[str, list[str]] = defaultdict(list)
        self.trimmed = 0

    async def do(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("add", count):
                pipe = self.redis.pipeline(transaction=False)
                for _ in range(count):
                    pipe.xadd(EVENT_STREAM, {"a": "b"})
                added = [id.decode() for id in await pipe.execute()]
                self.all += added
                for needed in self.needed.values():
                    needed.update(added)
            case ("join", group) if group not in self.needed:
                await ensure_group(self.redis, EVENT_STREAM, group)
                # It begins with what is there: what was done with before may be gone.
                self.needed[group] = set(await self.left())
            case ("read", group, count) if group in self.needed:
                reply = await self.redis.xreadgroup(group, "a", {EVENT_STREAM: ">"}, count=count)
                for _, entries in reply or []:
                    self.in_hand[group] += [id.decode() for id, _ in entries]
            case ("ack", group, nth) if self.in_hand[group]:
                done = self.in_hand[group][::nth]
                await self.redis.xack(EVENT_STREAM, group, *done)
                self.needed[group] -= set(done)
                self.in_hand[group] = [each for each in self.in_hand[group] if each not in done]
            case ("take over", group, count) if self.in_hand[group]:
                await self.redis.xautoclaim(EVENT_STREAM, group, "b", 0, "0-0", count=count)
            case ("trim",):
                self.trimmed += await trim(self.redis, EVENT_STREAM)
        await self.check()

    async def left(self) -> list[str]:
        return [id.decode() for id, _ in await self.redis.xrange(EVENT_STREAM)]

    async def check(self) -> None:
        left = set(await self.left())
        for group, needed in self.needed.items():
            assert needed <= left, f"{group} needs {sorted(needed - left)[:5]}, which are gone"


@given(steps=STEPS)
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_groups_do_what_one_has_not_acknowledged_stays(
    bus: Bus, steps: list[tuple[Any, ...]]
) -> None:
    await bus.redis.delete(EVENT_STREAM)
    model = Model(bus)
    for step in steps:
        await model.do(step)
    # And it does not stay for longer: all is acknowledged, and gone but for the last node.
    for group in list(model.needed):
        for step in (("read", group, 10_000), ("ack", group, 1), ("trim",)):
            await model.do(step)
    if model.needed:
        assert len(await model.left()) <= 200


async def test_trimming_beside_readers_that_come_and_go_takes_nothing_from_them(bus: Bus) -> None:
    chance = random.Random(3)
    total = 20_000
    got: dict[str, set[bytes]] = {group: set() for group in GROUPS}
    for group in GROUPS:
        await ensure_group(bus.redis, EVENT_STREAM, group)
    added: list[bytes] = []
    dropped = 0

    async def write() -> None:
        while len(added) < total:
            pipe = bus.redis.pipeline(transaction=False)
            for _ in range(chance.randint(1, 120)):
                pipe.xadd(EVENT_STREAM, {"a": "b"})
            added.extend(await pipe.execute())
            await asyncio.sleep(0)

    async def read(group: str) -> None:
        consumer = 0
        while len(got[group]) < total or len(got[group]) < len(added):
            # Whoever has some may die with them; another takes them over.
            taken = await bus.redis.xautoclaim(
                EVENT_STREAM, group, f"c{consumer}", 0, "0-0", count=50
            )
            assert not taken[2], f"{group} had these in hand and they are gone: {taken[2]}"
            reply = await bus.redis.xreadgroup(
                group, f"c{consumer}", {EVENT_STREAM: ">"}, count=chance.randint(1, 200)
            )
            entries = [*taken[1], *(reply[0][1] if reply else [])]
            if chance.random() < 0.3:
                consumer += 1
                continue
            if entries:
                await bus.redis.xack(EVENT_STREAM, group, *(id for id, _ in entries))
                got[group].update(id for id, _ in entries)
            await asyncio.sleep(0)

    async def trims() -> None:
        nonlocal dropped
        while True:
            dropped += await trim(bus.redis, EVENT_STREAM)
            await forget_consumers(bus.redis, EVENT_STREAM, silent=0)

    trimming = asyncio.create_task(trims())
    working = [asyncio.create_task(each) for each in (write(), *map(read, GROUPS))]
    try:
        finished, late = await asyncio.wait(
            working, timeout=80, return_when=asyncio.FIRST_EXCEPTION
        )
        failed = [each for each in finished if each.exception() is not None]
        for each in failed:
            each.result()
        counts = {group: len(ids) for group, ids in got.items()}
        assert not late, f"of {len(added)} added they have read {counts}, {dropped} are trimmed"
    finally:
        await end(trimming, *working)
    for group, ids in got.items():
        assert ids == set(added), group
    assert dropped > total / 2


@pytest.fixture
async def quick_worker(
    bus: Bus, bus_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Worker]:
    """Reads commands, events and a lane of replays of the probe, and trims all the time."""
    monkeypatch.setattr(worker, "TRIM_EVERY", 0.05)

    async def nothing(_: Any, __: UnitOfWork) -> None:
        return None

    async def see(_: Sequence[Envelope]) -> None:
        return None

    again = ReplayHandling(
        DOMAIN, {}, committer=bus.committer, publisher=bus.publisher, database=bus.database,
        observer=see,
    )  # fmt: skip
    lanes = [
        Lane(COMMANDS, bus.handling({MakeThing: nothing}), POLICY, 128),
        Lane(EVENT_STREAM, bus.handling({}, observer=see), POLICY, 128),
        Lane(streams.replay(DOMAIN), again, POLICY, 128),
    ]
    made = Worker(
        make_broker(bus_redis_url), bus.redis, bus.pipeline, lanes, heartbeat=0.1, drain_grace=5.0
    )
    await made.start()
    yield made
    await made.stop()


async def test_under_continuous_load_every_stream_a_worker_reads_stays_short(
    bus: Bus, quick_worker: Worker
) -> None:
    """Tens of thousands of entries, of which no more are there at once than one portion and a half."""
    portion = 1000
    sent = {EVENT_STREAM: 0, streams.replay(DOMAIN): 0, COMMANDS: 0}
    rounds = {EVENT_STREAM: 20, streams.replay(DOMAIN): 10, COMMANDS: 2}

    async def fill(stream: str) -> None:
        envelope = envelope_of(MakeThing(name="x"))
        if stream != COMMANDS:
            unit = UnitOfWork(envelope, DOMAIN)
            unit.emit(ThingForgotten(thing_id="thg_1"))
            envelope = unit.events[0]
        for _ in range(rounds[stream]):
            each = [
                envelope.model_copy(update={"id": f"{envelope.id[:-6]}{sent[stream] + n:06}"})
                for n in range(portion)
            ]
            if stream == streams.replay(DOMAIN):
                await feed(bus.pipeline, DOMAIN, each, Redrive("test"))
            else:
                pipe = bus.redis.pipeline(transaction=False)
                for one in each:
                    value = encode(one.wire(), id=one.id, correlation=None)
                    pipe.xadd(stream, {FIELD: value})
                await pipe.execute()
            sent[stream] += portion

            async def short(stream: str = stream) -> bool:
                return int(await bus.redis.xlen(stream)) <= portion // 2

            await until(short, f"{stream} to be short again", seconds=60)

    await asyncio.gather(*map(fill, sent))
    assert sum(sent.values()) == 32 * portion

    async def done() -> bool:
        left = [(await bus.redis.xpending(stream, DOMAIN))["pending"] for stream in sent]
        return not any(left)

    await until(done, "nothing to be pending", seconds=60)
    assert await bus.database["inbox"].count_documents({}) == sent[COMMANDS]


async def test_a_push_stream_keeps_about_as_much_as_it_may(bus: Bus) -> None:
    pusher = Pusher(bus.pipeline, Pushes(route, shards=1, length=500))
    unit = UnitOfWork(envelope_of(MakeThing(name="x")), DOMAIN)
    unit.emit(ThingForgotten(thing_id="thg_1"), org="org_probe")
    (event,) = unit.events
    for start in range(0, 3000, 500):
        await pusher.push(
            [
                event.model_copy(update={"id": f"evt_{number}"})
                for number in range(start, start + 500)
            ]
        )
        assert await bus.redis.xlen(streams.push(0)) <= 500 + 100
    marks = [key async for key in bus.redis.scan_iter("grid8:pushed:{0}:*")]
    assert len(marks) == 3000
    assert {await bus.redis.ttl(key) > 0 for key in marks[:50]} == {True}, "marks expire"


async def test_consumers_of_processes_that_are_no_more_are_forgotten_and_no_others(
    bus: Bus,
) -> None:
    for number in range(30):
        await bus.redis.xgroup_create(EVENT_STREAM, "g", "0", mkstream=True) if not number else None
        await bus.redis.xgroup_createconsumer(EVENT_STREAM, "g", f"dead {number}")
    await bus.redis.xadd(EVENT_STREAM, {"a": "b"})
    await bus.redis.xreadgroup("g", "has one", {EVENT_STREAM: ">"})
    assert await forget_consumers(bus.redis, EVENT_STREAM) == 0, "they were silent for a moment"

    async def silent() -> bool:
        found = await bus.redis.xinfo_consumers(EVENT_STREAM, "g")
        return min(each["idle"] for each in found) > 50

    await until(silent, "all to have been silent for a while")
    await bus.redis.xreadgroup("g", "lives", {EVENT_STREAM: ">"})
    gone = await forget_consumers(bus.redis, EVENT_STREAM, silent=0.05)
    left = {each["name"] for each in await bus.redis.xinfo_consumers(EVENT_STREAM, "g")}
    assert b"has one" in left
    assert gone >= 30
    assert (await bus.redis.xpending(EVENT_STREAM, "g"))["pending"] == 1
    assert await forget_consumers(bus.redis, streams.events("nobody")) == 0
