"""Worker processes that are killed while they work, seen from the bus.

test_kill_worker.py does the same to the whole stack, seen by a client of the gateway.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bus import streams
from bus.broker import FIELD, encode
from bus.documents import EVENTS, INBOX, OUTBOX, Database
from contracts.actor import Actor
from contracts.base import Command
from contracts.corp.commands import CreateBrand, UpdateBrand
from contracts.envelope import Envelope
from contracts.permissions import Role
from contracts.types import now
from tests.bus.probe import until
from tests.faults.processes import Processes, database, processes, redis

__all__ = ["database", "processes", "redis"]

KILLS = 4
ROOT = Path(__file__).resolve().parents[2]
ACTOR = Actor(user="usr_olga", session="ses_1", org="org_acme", role=Role.OWNER)


async def an_organization(database: Database) -> None:
    at = now()
    await database["organizations"].insert_one(
        {"_id": ACTOR.org, "name": "Acme", "slug": "acme", "revision": 1, "held": 0}
        | {"created_at": at, "updated_at": at}
    )


def command(asked: Command) -> Envelope:
    return Envelope.of_command(asked, source="/grid8/tests", actor=ACTOR)


async def put(redis: Redis, *envelopes: Envelope) -> None:
    pipe = redis.pipeline(transaction=False)
    for each in envelopes:
        stream = streams.commands(each.type.partition(".")[0])
        pipe.xadd(stream, {FIELD: encode(each.wire(), id=each.id, correlation=None)})
    await pipe.execute()


async def nothing_pending(redis: Redis, stream: str, group: str) -> bool:
    groups = {each["name"].decode(): each for each in await redis.xinfo_groups(stream)}
    return groups[group]["pending"] == 0 and groups[group]["lag"] in (0, None)


async def outcomes(database: Database) -> dict[str, dict[str, Any]]:
    found = database[INBOX].find({"_id": {"$regex": "^corp:cmd_"}})
    return {each["_id"].removeprefix("corp:"): each["outcome"] async for each in found}


async def test_of_commands_whose_workers_are_killed_again_and_again_each_happens_once(
    processes: Processes, redis: Redis, database: Database
) -> None:
    assert processes.start("handlers", "prepare").wait(30) == 0, processes.said()
    await an_organization(database)
    doomed = processes.start("handlers", "corp")
    processes.start("handlers", "relay")
    first = command(CreateBrand(name="first"))
    await put(redis, first)

    async def handled(*wanted: Envelope) -> bool:
        return set(await outcomes(database)) >= {each.id for each in wanted}

    await until(lambda: handled(first), "the first command to be handled", seconds=30)
    brand = (await outcomes(database))[first.id]["result"]["id"]

    chance = random.Random(7)
    sent: list[Envelope] = [first]
    updates = 0
    for round_ in range(KILLS):
        batch = [command(CreateBrand(name=f"brand {round_}-{n}")) for n in range(80)]
        batch += [command(CreateBrand(name="FIRST")) for _ in range(5)]  # refused by rule
        batch += [command(UpdateBrand(brand=brand, name=f"x{n}")) for n in range(6)]  # contended
        updates += 6
        chance.shuffle(batch)
        sent += batch
        before = len(await outcomes(database))
        await put(redis, *batch, *chance.sample(batch, 10))  # some were added twice

        async def busy(before: int = before) -> bool:
            return await database[INBOX].estimated_document_count() > before

        await until(busy, "the worker to be at work", seconds=30)
        await asyncio.sleep(chance.uniform(0.0, 0.1))
        doomed.kill()
        doomed.wait()
        doomed = processes.start("handlers", "corp")
    try:
        await until(lambda: handled(*sent), "every command to have an outcome", seconds=40)
    except AssertionError as error:
        ends = await outcomes(database)
        missing = [each.data for each in sent if each.id not in ends]
        left = await redis.xpending(streams.commands("corp"), "corp")
        pytest.fail(
            f"{error}: {len(missing)} of {len(sent)} are missing, {missing[:9]}; "
            f"pending {left}\n{processes.said()}"
        )
    await until(
        lambda: nothing_pending(redis, streams.commands("corp"), "corp"),
        "nothing to be pending",
        seconds=20,
    )

    ends = await outcomes(database)
    assert set(ends) == {each.id for each in sent}
    creations = {each.id for each in sent if each.data.get("name", "").startswith("brand ")}
    assert {ends[id]["status"] for id in creations} == {"succeeded"}
    refused = [end["failure"]["code"] for end in ends.values() if end["status"] == "failed"]
    assert set(refused) <= {"corp.brand_name_taken"}

    events = await database[EVENTS].find({}).to_list()
    causes = Counter(event["causationid"] for event in events)
    succeeded = {id for id, end in ends.items() if end["status"] == "succeeded"}
    assert causes == Counter(succeeded), "one event for each command that was carried out"
    assert await database["brands"].count_documents({}) == len(
        [event for event in events if event["type"] == "corp.brand.created"]
    )
    revisions = sorted(event["revision"] for event in events if event["subject"] == brand)
    assert revisions == list(range(1, updates + 2)), "a revision is missing or was given twice"

    assert not await redis.exists(streams.dead("corp")), await redis.xrange(streams.dead("corp"))

    async def nothing_to_publish() -> bool:
        return await database[OUTBOX].count_documents({}) == 0

    await until(nothing_to_publish, "the relay to have published what was left", seconds=15)
    from bus.broker import decode

    published = Counter(
        Envelope.model_validate_json(decode(fields)).id
        for _, fields in await redis.xrange(streams.events("corp"))
    )
    assert set(published) == {event["_id"] for event in events}, "an event was never published"


async def test_a_worker_told_to_stop_under_load_exits_with_zero_and_leaves_the_rest_whole(
    processes: Processes, redis: Redis, database: Database
) -> None:
    assert processes.start("handlers", "prepare").wait(30) == 0, processes.said()
    await an_organization(database)
    worker = processes.start("handlers", "corp")
    sent = [command(CreateBrand(name=f"brand {number}")) for number in range(1500)]
    await put(redis, *sent)

    async def some() -> bool:
        return await database["brands"].count_documents({}) > 50

    await until(some, "the worker to have begun", seconds=30)
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 15) == 0, processes.said()
    left = await redis.xpending_range(streams.commands("corp"), "corp", "-", "+", 2000)
    done = await database["brands"].count_documents({})
    assert {row["times_delivered"] for row in left} <= {0}, "it had not begun what it gave back"
    assert len(left) <= 256, f"it read {len(left)} that it did not do"
    processes.start("handlers", "corp")

    async def all_done() -> bool:
        return len(await outcomes(database)) == len(sent)

    await until(all_done, f"the other worker to finish, after {done}", seconds=30)
    assert await database[EVENTS].count_documents({}) == len(sent)
    assert not await redis.exists(streams.dead("corp"))
