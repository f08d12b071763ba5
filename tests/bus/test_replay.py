"""Events that are fed to one group again: order, once, effects, stopping and going on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from beanie import init_beanie

from bus import streams
from bus.broker import make_broker
from bus.documents import EVENTS, INBOX, OUTBOX, REPLAYS
from bus.handling import Handler, Policy
from bus.logged import event_document
from bus.replay.lane import Again, Redrive, ReplayHandling, feed
from bus.replay.run import NotHandled, Progress, Replay, waves
from bus.replay.source import Log, Selection, Source, Streams
from bus.unit_of_work import UnitOfWork
from bus.worker import Lane, Worker
from contracts.auth.events import UserRegistered, UserUpdated
from contracts.base import Event, Message
from contracts.envelope import Envelope
from contracts.types import new_id, now
from handlers.corp.documents import Membership, Person
from handlers.corp.worker import REACTIONS
from infra.embedded.layout import ROOT
from tests.bus.probe import DOMAIN, Bus, Thing, ThingForgotten, ThingMade, until

LANE = streams.replay(DOMAIN)
POLICY = Policy(max_deliveries=2, backoff_base=0.01, claim_after=1.5, timeout=5.0)
BEGAN = now() - timedelta(hours=1)

Start = Callable[..., Awaitable[Worker]]
Begin = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start(bus: Bus, bus_redis_url: str) -> AsyncIterator[Start]:
    """Starts workers that read one group's lane."""
    started: list[Worker] = []

    async def begin(
        table: dict[type[Message], Handler], group: str = DOMAIN, **more: Any
    ) -> Worker:
        handling = ReplayHandling(
            group,
            table,
            committer=bus.committer,
            publisher=bus.publisher,
            database=bus.database,
            **more,
        )
        worker = Worker(
            make_broker(bus_redis_url),
            bus.redis,
            bus.pipeline,
            [Lane(streams.replay(group), handling, POLICY, 16)],
            heartbeat=0.2,
            drain_grace=5.0,
        )
        await worker.start()
        started.append(worker)
        return worker

    yield begin
    for worker in started:
        await worker.stop()


def event_of(event: Event, number: int, *, revision: int | None = None, **more: Any) -> Envelope:
    """An event as it stands in the log; the number says in which order they happened."""
    return Envelope(
        id=new_id("evt"),
        source=f"/grid8/{event.domain()}",
        type=event.wire,
        time=BEGAN + timedelta(milliseconds=number),
        subject=str(getattr(event, event.subject)),
        data=event.model_dump(mode="json"),
        revision=revision,
        **more,
    )


async def log(bus: Bus, events: Sequence[Envelope]) -> None:
    await bus.database[EVENTS].insert_many([event_document(each) for each in events])


async def record(bus: Bus, **more: Any) -> dict[str, Any]:
    begun: dict[str, Any] = {
        "_id": new_id("rpl"),
        "group": DOMAIN,
        "reaction": "",
        "effects": False,
        "position": {},
        "counts": {"done": 0, "dead": 0, "retried": 0},
        "state": "running",
        **more,
    }
    await bus.database[REPLAYS].insert_one(begun)
    return begun


async def replay_of(bus: Bus, source: Source | None = None, **more: Any) -> Replay:
    begun = await record(bus, **more)
    source = source or Log(bus.database, Selection(until=now()))
    return Replay(begun, source, bus.database, bus.redis)


async def pending(bus: Bus) -> int:
    groups = await bus.redis.xinfo_groups(LANE)
    return sum(each["pending"] + (each["lag"] or 0) for each in groups)


def things(count: int, per_subject: int = 1) -> list[Envelope]:
    return [
        event_of(
            ThingMade(thing_id=f"thg_{number % (count // per_subject)}", name=str(number)), number
        )
        for number in range(count)
    ]


async def test_the_events_of_a_subject_come_in_their_order_whoever_handles_them(
    bus: Bus, start: Start
) -> None:
    seen: dict[str, list[int]] = defaultdict(list)
    failed: set[str] = set()

    async def note(event: ThingMade, uow: UnitOfWork) -> None:
        if int(event.name) % 25 == 3 and event.name not in failed:
            failed.add(event.name)
            raise RuntimeError("not the first time")
        await asyncio.sleep(0.001 * (int(event.name) % 3))
        seen[event.thing_id].append(int(event.name))

    await log(bus, things(60, per_subject=6))
    for _ in range(2):
        await start({ThingMade: note})
    replay = await replay_of(bus)
    assert await replay.run() == "done"
    assert replay.progress == Progress(done=60, dead=0, retried=3)
    assert len(seen) == 10
    for numbers in seen.values():
        assert numbers == sorted(numbers)
        assert len(numbers) == 6
    assert await pending(bus) == 0


def test_within_one_instant_the_revision_says_the_order() -> None:
    made = [
        event_of(ThingMade(thing_id="thg_1", name=str(revision)), 0, revision=revision)
        for revision in (3, 1, 2)
    ]
    assert [[each.revision for each in wave] for wave in waves(made)] == [[1], [2], [3]]


async def test_each_event_is_applied_once_per_replay_and_again_in_the_next(
    bus: Bus, start: Start
) -> None:
    async def grow(event: ThingMade, uow: UnitOfWork) -> None:
        thing = await Thing.get(event.thing_id)
        if thing is None:
            uow.add(Thing(id=event.thing_id, name=event.name, size=1))
        else:
            thing.size += 1
            uow.save(thing)

    async def sizes() -> list[int]:
        return [each.size for each in await Thing.find_all().to_list()]

    events = things(5)
    await log(bus, events)
    await start({ThingMade: grow})
    first = await replay_of(bus)
    assert await first.run() == "done"
    await feed(bus.pipeline, DOMAIN, events, Again(first.id))
    await until(lambda: _none_pending(bus), "the same replay to be over")
    assert await sizes() == [1] * 5
    assert await (await replay_of(bus)).run() == "done"
    assert await sizes() == [2] * 5
    key = f"{DOMAIN}:replay:{first.id}:{events[0].id}"
    assert await bus.database[INBOX].find_one({"_id": key}) is not None


async def _none_pending(bus: Bus) -> bool:
    return await pending(bus) == 0


async def echo(event: ThingMade, uow: UnitOfWork) -> None:
    """Does everything that can be seen outside."""
    uow.emit(ThingForgotten(thing_id=event.thing_id))

    async def outside() -> None:
        OUTSIDE.append(event.name)

    uow.effect(outside)


OUTSIDE: list[str] = []


async def test_effects_are_dropped_unless_they_are_asked_for(bus: Bus, start: Start) -> None:
    OUTSIDE.clear()
    events = things(3)
    await log(bus, events)
    await start({ThingMade: echo})
    first = await replay_of(bus)
    assert await first.run() == "done"
    assert OUTSIDE == []
    assert await bus.published() == []
    assert await bus.database[OUTBOX].count_documents({}) == 0
    ids = set()
    for _ in range(2):
        replay = await replay_of(
            bus, Log(bus.database, Selection(until=now(), types=(ThingMade.wire,))), effects=True
        )
        assert await replay.run() == "done"
        ids |= {each.id for each in await bus.published()}
    assert sorted(OUTSIDE) == ["0", "0", "1", "1", "2", "2"]
    assert len(ids) == 6, "what a replay emits is new, and not taken for what was emitted before"


async def test_a_redriven_event_is_handled_as_at_its_first_delivery(bus: Bus, start: Start) -> None:
    OUTSIDE.clear()
    event = things(1)[0]
    await start({ThingMade: echo})
    for _ in range(2):
        await feed(bus.pipeline, DOMAIN, [event], Redrive("1-0"))
    await until(lambda: _none_pending(bus), "both to be handled")
    assert len(await bus.published()) == 1
    assert await bus.inbox(event.id) is not None


async def test_only_the_reaction_that_is_named_is_run(bus: Bus, start: Start) -> None:
    ran: list[str] = []

    async def one(event: ThingMade, uow: UnitOfWork) -> None:
        ran.append("one")

    async def other(event: ThingForgotten, uow: UnitOfWork) -> None:
        ran.append("other")

    forgotten = event_of(ThingForgotten(thing_id="thg_9"), 9)
    await start({ThingMade: one, ThingForgotten: other})
    await feed(bus.pipeline, DOMAIN, [*things(1), forgotten], Again("rpl_1", reaction="other"))
    await until(lambda: _none_pending(bus), "both to be handled")
    assert ran == ["other"]


async def test_an_observer_is_shown_events_again_only_with_effects(bus: Bus, start: Start) -> None:
    shown: list[Envelope] = []

    async def observe(envelopes: Sequence[Envelope]) -> None:
        shown.extend(envelopes)

    await start({}, observer=observe)
    event = things(1)[0]
    await feed(bus.pipeline, DOMAIN, [event], Again("rpl_1"))
    await feed(bus.pipeline, DOMAIN, [event], Again("rpl_2", effects=True))
    await feed(bus.pipeline, DOMAIN, [event], Redrive("recovery"))
    await until(lambda: _none_pending(bus), "all to be observed")
    assert sorted(each.id == event.id for each in shown) == [False, True]
    assert {each.causationid for each in shown} == {None, event.id}


async def test_a_ramp_stops_when_an_event_is_given_up(bus: Bus, start: Start) -> None:
    async def fail(event: ThingMade, uow: UnitOfWork) -> None:
        if int(event.name) >= 5:
            raise RuntimeError("no")

    await log(bus, things(300))
    await start({ThingMade: fail})
    replay = await replay_of(bus)
    reports: list[int] = []
    state = await replay.run(ramp=True, report=lambda progress: reports.append(progress.done))
    assert state == "failing"
    assert reports == [1, 11], "one, then ten, and no hundred after the trouble"
    assert replay.progress.dead == 6
    letters = await bus.dead()
    assert {each["replay"] for each in letters} == {replay.id}
    assert {each["stream"] for each in letters} == {LANE}
    kept = await bus.database[REPLAYS].find_one({"_id": replay.id})
    assert kept is not None
    assert kept["state"] == "failing"


async def test_a_replay_that_is_stopped_goes_on_where_it_stopped(bus: Bus, start: Start) -> None:
    seen: list[str] = []

    async def note(event: ThingMade, uow: UnitOfWork) -> None:
        seen.append(event.name)

    await log(bus, things(1200))
    await start({ThingMade: note})
    first = await replay_of(bus)

    def stop(progress: Progress) -> None:
        if progress.done >= 700:
            first.stop.set()

    assert await first.run(rate=2000, report=stop) == "stopped"
    kept = await bus.database[REPLAYS].find_one({"_id": first.id})
    assert kept is not None
    assert kept["counts"]["done"] == 500
    second = Replay(kept, Log(bus.database, Selection(until=now())), bus.database, bus.redis)
    assert await second.run() == "done"
    assert set(map(int, seen)) == set(range(1200))
    assert await bus.database[INBOX].count_documents({}) == 1200, "each once"
    assert second.progress.done == 1200


async def test_a_rate_is_kept(bus: Bus, start: Start) -> None:
    async def note(event: ThingMade, uow: UnitOfWork) -> None:
        pass

    await log(bus, things(30))
    await start({ThingMade: note})
    began = asyncio.get_running_loop().time()
    assert await (await replay_of(bus)).run(rate=30) == "done"
    assert 0.85 < asyncio.get_running_loop().time() - began < 5


async def test_what_redis_loses_during_a_replay_is_fed_again(bus: Bus, start: Start) -> None:
    seen: set[str] = set()
    flushed = False

    async def note(event: ThingMade, uow: UnitOfWork) -> None:
        nonlocal flushed
        if int(event.name) == 50 and not flushed:
            flushed = True
            await bus.redis.flushdb()
        seen.add(event.name)

    await log(bus, things(100))
    await start({ThingMade: note})
    assert await asyncio.wait_for((await replay_of(bus)).run(), 30) == "done"
    assert len(seen) == 100


async def test_workers_that_do_not_know_the_event_are_found_out(bus: Bus, start: Start) -> None:
    await log(bus, things(1))
    await start({ThingForgotten: echo})
    with pytest.raises(NotHandled):
        await (await replay_of(bus)).run()


async def test_what_is_chosen_is_the_same_from_log_and_streams(bus: Bus) -> None:
    events = [
        event_of(ThingMade(thing_id=f"thg_{number}", name="x"), number, org=f"org_{number % 2}")
        for number in range(40)
    ]
    events.append(event_of(ThingForgotten(thing_id="thg_1"), 50, org="org_1"))
    await log(bus, events)
    for each in events:
        await bus.put(each, streams.events(DOMAIN))
    of_one = tuple(f"thg_{number}" for number in range(0, 40, 2))
    for selection, count in (
        (Selection(until=now()), 41),
        (Selection(until=now(), types=(ThingForgotten.wire,)), 1),
        (Selection(until=now(), subjects=("thg_1",)), 2),
        (Selection(until=now(), orgs=("org_0",), subjects=of_one), 20),
        (Selection(until=now(), since=events[10].time), 31),
        (Selection(until=events[10].time), 10),
        (Selection(until=now(), domains=("other",)), 0),
        (Selection(until=now(), domains=(DOMAIN,), types=(ThingMade.wire,)), 40),
    ):
        for source in (Log(bus.database, selection), Streams(bus.redis, [DOMAIN], selection)):
            assert sum((await source.count()).values()) == count, (source, selection)
            got: list[str] = []
            at: Any = {}
            async for page, place in source.pages({}, 7):
                got += [each.id for each in page]
                at = place
            assert len(got) == len(set(got)) == count
            assert [page async for page, _ in source.pages(at, 7) if page] == []


@pytest.fixture
def begin(bus: Bus, mongo_url: str, bus_redis_url: str) -> Begin:
    """Begins ``grid8 replay`` on the servers of the test."""

    async def begin(*arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scripts.grid8", "replay", *arguments,
            cwd=ROOT,
            env={
                **os.environ,
                "GRID8_MONGO__URL": mongo_url,
                "GRID8_MONGO__DATABASE": bus.database.name,
                "GRID8_REDIS__URL": bus_redis_url,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    return begin


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_ctrl_c_stops_a_replay_and_resume_goes_on(
    bus: Bus, start: Start, begin: Begin
) -> None:
    await init_beanie(database=bus.database, document_models=[Person, Membership])
    people = [
        event_of(UserRegistered(user_id=f"usr_{n}", email=f"{n}@example.org", name="First"), n)
        for n in range(120)
    ]
    await log(bus, people)
    await start(dict(REACTIONS.items()), "corp")
    process = await begin("--group", "corp", "--rate", "20/s")

    async def some() -> bool:
        return await Person.count() >= 5

    await until(some, "some people")
    process.send_signal(signal.SIGINT)
    code, said = await ended(process)
    assert code == 130, said
    assert await Person.count() < 120
    kept = await bus.database[REPLAYS].find_one({})
    assert kept is not None
    assert kept["state"] == "stopped"
    assert f"--resume {kept['_id']}" in said
    code, said = await ended(await begin("--resume", kept["_id"]))
    assert code == 0, said
    assert await Person.count() == 120
    code, said = await ended(await begin("--resume", kept["_id"]))
    assert code == 1
    assert "has been done" in said


async def test_a_deleted_projection_is_rebuilt_from_the_command_line(
    bus: Bus, start: Start, begin: Begin
) -> None:
    async def grid8(*arguments: str) -> tuple[int | None, str]:
        return await ended(await begin(*arguments))

    await init_beanie(database=bus.database, document_models=[Person, Membership])
    people = [f"usr_{number}" for number in range(50)]
    await log(
        bus,
        [
            event_of(
                UserRegistered(user_id=id, email=f"{id}@example.org", name="First"), n, revision=1
            )
            for n, id in enumerate(people)
        ]
        + [
            event_of(
                UserUpdated(user_id=id, name=f"Name {revision}"), 100 + revision, revision=revision
            )
            for id in people[:10]
            for revision in (2, 3, 4)
        ],
    )
    for _ in range(2):
        await start(dict(REACTIONS.items()), "corp")

    assert await Person.count() == 0, "the projection is gone"
    code, said = await grid8("--group", "corp", "--dry-run")
    assert code == 0, said
    assert [line.split() for line in said.splitlines()[1:]] == [
        ["auth.user.registered", "50"],
        ["auth.user.updated", "30"],
        ["all", "80"],
    ]
    assert await bus.database[REPLAYS].count_documents({}) == 0
    code, said = await grid8("--group", "corp", "--stream", "grid8:{corp}:evt", "--dry-run")
    assert (code, said.split()[-2:]) == (0, ["all", "0"])
    registered = ("--stream", "grid8:{auth}:evt", "--type", "auth.user.registered")
    code, said = await grid8("--group", "corp", *registered)
    assert code == 0, said
    assert await Person.count() == 50
    assert {each.name for each in await Person.find_all().to_list()} == {"First"}
    code, said = await grid8("--group", "corp", "--reaction", "rename_the_person", "--ramp")
    assert code == 0, said
    names = {each.id: each.name for each in await Person.find_all().to_list()}
    assert [names[id] for id in people] == ["Name 4"] * 10 + ["First"] * 40
    kept = await bus.database[REPLAYS].find().to_list()
    assert [(each["state"], each["counts"]["done"], each["total"]) for each in kept] == [
        ("done", 50, 50),
        ("done", 30, 30),
    ]
    assert all("@" in each["by"] for each in kept)
    await bus.database["corp_people"].delete_many({})
    code, said = await grid8("--group", "corp")
    assert code == 0, said
    rebuilt = {each.id: each.name for each in await Person.find_all().to_list()}
    assert rebuilt == names, "registered before renamed, renamed in order"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--group", "mail"),
        ("--group", "notifier"),
        ("--group", "corp", "--reaction", "unheard_of"),
        ("--group", "corp", "--type", "corp.brand.created"),
        ("--group", "corp", "--stream", "grid8:{corp}:cmd"),
        ("--group", "corp", "--domain", "nobody"),
        ("--group", "corp", "--resume", "rpl_1"),
        ("--resume", "rpl_1", "--type", "auth.user.updated"),
    ],
)
def test_a_replay_that_makes_no_sense_is_refused(arguments: tuple[str, ...]) -> None:
    from click.testing import CliRunner

    from scripts.grid8.replay import replay

    result = CliRunner().invoke(replay, arguments)
    assert result.exit_code == 2, result.output


async def test_a_beginning_of_types_chooses_all_that_begin_so(bus: Bus) -> None:
    names = ("custom.price.changed", "custom.stock.changed", "customs.paid", "probe.thing.made")
    events = [
        things(1)[0].model_copy(update={"id": f"evt_{number}", "type": type})
        for number, type in enumerate(names)
    ]
    await bus.database[EVENTS].insert_many([event_document(each) for each in events])
    until_now = now() + timedelta(minutes=1)
    for wanted, found in (
        (("custom.*",), names[:2]),
        (("custom.stock.*", "probe.thing.made"), (names[1], names[3])),
        (("*",), names),
        (("price.*",), ()),
    ):
        selection = Selection(until_now, types=wanted)
        assert set(await Log(bus.database, selection).count()) == set(found)
        assert [each.type for each in events if selection.takes(each)] == list(found)
