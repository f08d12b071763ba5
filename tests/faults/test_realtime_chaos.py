"""Clients that come and go over notifiers that are killed: each is shown its events, once, in order.

FAULTS_SEED repeats a run, as far as chance goes; CHAOS_SECONDS is how long the long one is.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from signal import SIGKILL
from typing import Any

import aiohttp
import pytest

from bus import streams
from bus.documents import EVENTS
from bus.feed.push_cursor import Position, parse_id
from bus.logged import logged_event
from handlers.routing import route
from infra.embedded.running import RunningStack
from infra.settings import Settings
from tests.faults.harness import Stores, fault_stack, stores_of
from tests.faults.harness.caller import Caller
from tests.faults.harness.listeners import (
    EventSourceListener,
    Listener,
    Weather,
    WebSocketListener,
)
from tests.faults.harness.notifiers import Notifiers
from tests.faults.harness.waiting import until

SHARDS = Settings().notifier.push_shards
PER_SECOND = 100
BATCH = 10
BATCHES = "application/cloudevents-batch+json"
PROJECTS, ASSETS = 5, 8

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="%d"><rect width="9" height="9"/></svg>'


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    async with fault_stack(tmp_path_factory.mktemp("chaos")) as running:
        await running.hold("notifier", SIGKILL)  # ours take its place
        yield running


class Run:
    """An organization, two people in it, the events of both, and clients that listen."""

    def __init__(self, stack: RunningStack, stores: Stores, http: aiohttp.ClientSession) -> None:
        self.stack, self.stores, self.http = stack, stores, http
        self.people: dict[str, Caller] = {}
        self.users: dict[str, str] = {}
        self.listeners: list[Listener] = []
        self.sent = 0

    async def settle_in(self) -> None:
        for name in ("owner", "member"):
            self.people[name] = await Caller.new(self.http, self.stack.gateway_url)
            self.users[name] = (await self.ask("GET", "/v1/me", 200, by=name))["id"]
        self.org = (await self.ask("POST", "/v1/orgs", 201, json={"name": "Chaos"}))["id"]
        self.home = f"/v1/orgs/{self.org}"
        brand = (await self.ask("POST", f"{self.home}/brands", 201, json={"name": "B"}))["id"]
        self.projects = [
            (await self.ask(
                "POST", f"{self.home}/projects", 201, json={"name": f"P{each}", "brand_id": brand}
            ))["id"]
            for each in range(PROJECTS)
        ]  # fmt: skip
        self.assets = [
            (await self.ask(
                "POST", f"{self.home}/assets?filename={each}.svg&wait=ready", 201,
                data=SVG % (each + 1), headers={"Content-Type": "image/svg+xml"},
            ))["id"]
            for each in range(ASSETS)
        ]  # fmt: skip
        body = {"email": self.people["member"].credentials["email"], "role": "viewer"}

        async def added() -> Any:  # the event that tells of the person may be late
            answer = await self.people["owner"].send("POST", f"{self.home}/members", json=body)
            return answer.status == 201 or answer

        await until(added, "the member is added")

    async def ask(
        self, method: str, path: str, status: int, *, by: str = "owner", **more: Any
    ) -> Any:
        answer = await self.people[by].send(method, path, **more)
        assert answer.status == status, answer
        return answer.body

    async def ticket(self, person: str) -> str | None:
        answer = await self.people[person].send("POST", f"{self.home}/realtime/tickets")
        return str(answer.body["ticket"]) if answer.status == 201 else None

    def channels(self, chance: random.Random) -> list[str]:
        """One to three: the busiest the least often, since each client is read by one core."""
        project = f"project:{chance.choice(self.projects)}"
        asset = f"asset:{chance.choice(self.assets)}"
        options = {
            ("org",): 1, ("org", "me"): 1, ("org", project, asset): 1, (project,): 3, (asset,): 3,
            (project, asset): 3, (project, asset, "me"): 3, ("me",): 1,
        }  # fmt: skip
        return list(chance.choices(list(options), list(options.values()))[0])

    async def publish(self, seconds: float, chance: random.Random) -> None:
        """So many events a second, of which each is on one to three channels; and changes of people."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        changes: list[asyncio.Task[Any]] = []
        while (passed := loop.time() - begun) < seconds:
            if self.sent > passed * PER_SECOND:
                await asyncio.sleep(0.02)
                continue
            events = [self._event(chance) for _ in range(BATCH)]
            changes.append(asyncio.create_task(self._change(chance)))
            await self.ask(
                "POST", f"{self.home}/events", 202,
                data=json.dumps(events).encode(), headers={"Content-Type": BATCHES},
            )  # fmt: skip
        await asyncio.gather(*changes)

    def _event(self, chance: random.Random) -> dict[str, Any]:
        self.sent += 1
        data: dict[str, Any] = {"n": self.sent, "project_id": chance.choice(self.projects)}
        if chance.random() < 0.5:
            data["asset_id"] = chance.choice(self.assets)
        return {
            "specversion": "1.0", "id": str(self.sent), "source": "/chaos",
            "type": "custom.chaos.counted", "data": data,
        }  # fmt: skip

    async def _change(self, chance: random.Random) -> None:
        """Now and then, something that only its person sees, and something on two push streams."""
        if chance.random() < 0.2:
            by = chance.choice(list(self.people))
            await self.ask("PATCH", "/v1/me", 200, by=by, json={"name": f"Kay {self.sent}"})
        if chance.random() < 0.1:
            path = f"{self.home}/members/{self.users['member']}"
            role = chance.choice(("viewer", "reviewer", "editor"))
            answer = await self.people["owner"].send("PATCH", path, json={"role": role})
            assert answer.status in (200, 409), answer


class Truth:
    """What is in the push streams, and what by the log has to be there."""

    def __init__(self) -> None:
        self.pushed: list[list[tuple[Position, str, set[str]]]] = [[] for _ in range(SHARDS)]
        """Of each push stream: position, event and addresses, in order."""
        self.wanted: dict[str, set[str]] = defaultdict(set)
        """Events by address, from the log."""
        self.streams: Counter[str] = Counter()
        """In how many push streams an event is."""
        self.numbers: list[int] = []
        """Of the run's counted events, as they were pushed: they were published one by one."""

    @classmethod
    async def of(cls, stores: Stores, org: str) -> Truth:
        truth = cls()
        async for document in stores.database[EVENTS].find():
            envelope = logged_event(document)
            for push in route(envelope, SHARDS):
                truth.streams[envelope.id] += 1
                for address in push.addresses:
                    truth.wanted[address].add(envelope.id)
        for shard in range(SHARDS):
            for id, fields in await stores.redis.xrange(streams.push(shard)):
                if b"id" in fields:
                    to = set(fields[b"to"].decode().split())
                    truth.pushed[shard].append((parse_id(id), fields[b"id"].decode(), to))
                    if fields[b"type"] == b"custom.chaos.counted":
                        event = json.loads(fields[b"event"])
                        if event["org"] == org:
                            truth.numbers.append(event["data"]["n"])
        return truth

    def whole(self) -> bool:
        """Whether all of the log has been pushed, and nothing else, and nothing twice."""
        pushed: dict[str, list[str]] = defaultdict(list)
        for entries in self.pushed:
            for _, event, to in entries:
                for address in to:
                    pushed[address].append(event)
        return {each: sorted(ids) for each, ids in pushed.items()} == {
            each: sorted(ids) for each, ids in self.wanted.items()
        }

    def of_channel(self, listener: Listener, scope: str, channel: str) -> list[str]:
        """What a client has to be shown of a channel, in order."""
        shard = streams.shard_of(scope, SHARDS)
        address = streams.address_of(scope, channel)
        begin = listener.begins[shard]
        return [event for at, event, to in self.pushed[shard] if at > begin and address in to]


def expected(run: Run, truth: Truth, listener: Listener) -> dict[str, list[str]]:
    """What is due to a client, by channel."""
    scopes = {
        channel: run.users[listener.person] if channel == "me" else run.org
        for channel in listener.channels
    }
    return {
        channel: truth.of_channel(listener, scope, channel) for channel, scope in scopes.items()
    }


def differences(run: Run, truth: Truth, listener: Listener) -> list[str]:
    """What a client was not shown, was shown twice, or in another order."""
    by_channel = expected(run, truth, listener)
    found = list(listener.trouble)
    if isinstance(listener, WebSocketListener):
        for channel, wanted in by_channel.items():
            shown = [each.id for each in listener.seen if each.channel == channel]
            found += compare(channel, wanted, shown, listener)
        return found
    shown = [each.id for each in listener.seen]
    every = {event for wanted in by_channel.values() for event in wanted}
    found += compare("all", sorted(every), sorted(shown), listener)
    for channel, wanted in by_channel.items():
        # One that is in two push streams is shown when the first of them brings it.
        single = [event for event in wanted if truth.streams[event] == 1]
        of_these = set(single)
        found += compare(channel, single, [each for each in shown if each in of_these], listener)
    return found


def compare(what: str, wanted: list[str], shown: list[str], listener: Listener) -> list[str]:
    if wanted == shown:
        return []
    times = defaultdict(list)
    for each in listener.seen:
        times[each.id].append(each.at)
    twice = [(id, times[id]) for id, count in Counter(shown).items() if count > 1]
    missing = [id for id in wanted if id not in times]
    extra = [(id, times[id]) for id in dict.fromkeys(shown) if id not in set(wanted)]
    first = next(
        (f"{a} where {b} is due" for a, b in zip(shown, wanted, strict=False) if a != b), ""
    )
    return [
        f"{what}: {len(wanted)} due, {len(shown)} shown; missing {missing[:5]} ({len(missing)}); "
        f"twice {twice[:5]} ({len(twice)}); not due {extra[:5]} ({len(extra)}); first {first}"
    ]


async def chaos(stack: RunningStack, folder: Path, *, clients: int, seconds: float) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**9))
    print(f"FAULTS_SEED={seed}")
    chance = random.Random(seed)
    notifiers = Notifiers(stack.env, folder)
    tasks: list[asyncio.Task[None]] = []
    async with AsyncExitStack() as exits:
        exits.callback(notifiers.end)
        await notifiers.start()
        stores = await exits.enter_async_context(stores_of(stack))
        http = await exits.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        run = Run(stack, stores, http)
        await run.settle_in()
        weather = Weather(notifiers.urls, run.ticket, SHARDS)
        for number in range(clients):
            kind = (WebSocketListener, EventSourceListener)[number % 2]
            person = chance.choice(list(run.people))
            own = random.Random(chance.random())
            listener = kind(weather, str(number), person, run.channels(chance), own)
            run.listeners.append(listener)
            tasks.append(asyncio.create_task(listener.live()))
        exits.push_async_callback(end, tasks)
        for each in run.listeners:
            await asyncio.wait_for(each.there.wait(), 60)
        weather.rough = True
        killing = asyncio.create_task(
            notifiers.torment(random.Random(chance.random()), gap=3.0, clock=lambda: weather.clock)
        )
        tasks.append(killing)
        await run.publish(seconds, random.Random(chance.random()))
        await end([killing])
        assert notifiers.kills
        weather.rough = False
        await notifiers.recover()
        await check(run, weather, notifiers, tasks[:-1])


async def check(
    run: Run, weather: Weather, notifiers: Notifiers, living: list[asyncio.Task[None]]
) -> None:
    truth = Truth()

    async def pushed() -> Any:
        nonlocal truth
        truth = await Truth.of(run.stores, run.org)
        return truth.whole() or {each: len(ids) for each, ids in truth.wanted.items()}

    await until(pushed, "everything that was logged is in the push streams, once")
    steps = zip(truth.numbers, truth.numbers[1:], strict=False)
    turned = [(before, after) for before, after in steps if after < before]
    assert not turned, f"pushed in another order than published, killed at {notifiers.kills}"
    due = {each: len(set().union(*expected(run, truth, each).values())) for each in run.listeners}

    async def shown() -> Any:
        assert not any(each.done() for each in living), [each for each in living if each.done()]
        late = {
            each.name: f"{len(each.ids)} of {count}"
            for each, count in due.items()
            if len(each.ids) < count
        }
        return late or True

    try:
        await until(shown, "every client was shown as many as are due to it")
    finally:
        for each in run.listeners:
            if wrong := differences(run, truth, each):
                print(f"\n{each.name}", *wrong, "begins " + str(each.begins), sep="\n  ")
                print("  history:", *each.history[-12:], sep="\n    ")
        print(f"{run.sent} events, {sum(len(each.seen) for each in run.listeners)} deliveries, "
              f"{dict(weather.ways)}; killed: {notifiers.kills}")  # fmt: skip
    assert not [each.name for each in run.listeners if differences(run, truth, each)]
    for kind in (WebSocketListener, EventSourceListener):
        assert any(each.seen for each in run.listeners if isinstance(each, kind))


async def end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


async def test_clients_that_come_and_go_miss_nothing_when_notifiers_are_killed(
    stack: RunningStack, tmp_path: Path
) -> None:
    await chaos(stack, tmp_path, clients=60, seconds=15)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_two_hundred_clients_miss_nothing_for_minutes_of_kills(
    stack: RunningStack, tmp_path: Path
) -> None:
    seconds = float(os.environ.get("CHAOS_SECONDS") or 120)
    await chaos(stack, tmp_path, clients=200, seconds=seconds)
