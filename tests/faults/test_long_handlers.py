"""Handlers that take much longer than a message may go without a sign of life."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from bus.broker import FIELD, encode
from bus.documents import Database
from contracts.envelope import Envelope
from tests.bus import probe
from tests.bus.probe import MakeThing, envelope_of, until
from tests.faults.fragile import LONG, RUNS
from tests.faults.processes import Processes, database, processes, redis

__all__ = ["database", "processes", "redis"]

CLAIM_AFTER = 2.5
"""Seconds; a quarter of what the handlers take, and four times the heartbeat."""
LONG_ONES = [f"long {number}" for number in range(4)]


async def notes(redis: Redis, name: str) -> list[tuple[str, str]]:
    """Who began and ended it: process and what, in order."""
    found = [each.decode().split() for each in await redis.lrange(RUNS + name, 0, -1)]
    return [(process, what) for process, what in found]


async def begun(redis: Redis) -> bool:
    return all([await notes(redis, name) for name in LONG_ONES])


async def all_made(redis: Redis, database: Database, *more: str) -> None:
    async def made() -> bool:
        return await database["things"].count_documents({}) == len(LONG_ONES) + len(more)

    await until(made, "everything to be made", seconds=60)

    async def acknowledged() -> bool:
        (group,) = await redis.xinfo_groups(probe.COMMANDS)
        return group["pending"] == 0 and group["lag"] == 0

    await until(acknowledged, "everything to be acknowledged", seconds=60)
    assert not await redis.exists(probe.DEAD)
    assert await database["events"].count_documents({}) == len(LONG_ONES) + len(more)


async def put(redis: Redis, envelope: Envelope) -> None:
    value = encode(envelope.wire(), id=envelope.id, correlation=None)
    await redis.xadd(probe.COMMANDS, {FIELD: value})


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(False, id="undisturbed", marks=pytest.mark.slow),
        pytest.param(True, id="connections killed"),
    ],
)
async def test_a_handler_longer_than_the_takeover_runs_once_also_when_its_connections_are_cut(
    processes: Processes, redis: Redis, database: Database, cut: bool
) -> None:
    assert LONG >= 4 * CLAIM_AFTER
    for name in LONG_ONES:
        await put(redis, envelope_of(MakeThing(name=name)))
    for _ in range(2):
        processes.fragile(str(CLAIM_AFTER))
    await until(lambda: begun(redis), "all to have begun", seconds=60)
    quick = [f"quick {number}" for number in range(20)]
    if cut:
        # In the middle, several times, each a while after the one before: with what was being
        # read, the heartbeat that was under way, and the connections that lay in the pool.
        for _ in range(6):
            await redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(CLAIM_AFTER / 4)
    for name in quick:
        await put(redis, envelope_of(MakeThing(name=name)))
    await all_made(redis, database, *quick)
    for name in LONG_ONES:
        found = await notes(redis, name)
        assert [what for _, what in found] == ["begins", "ends"], (name, found, processes.said())
        assert len({process for process, _ in found}) == 1, (name, found)


@pytest.mark.slow
async def test_what_dies_with_its_process_in_the_middle_is_begun_once_more_by_another(
    processes: Processes, redis: Redis, database: Database
) -> None:
    first = processes.fragile(str(CLAIM_AFTER))
    for name in LONG_ONES:
        await put(redis, envelope_of(MakeThing(name=name)))
    await until(lambda: begun(redis), "all to have begun", seconds=60)
    second = processes.fragile(str(CLAIM_AFTER))
    await asyncio.sleep(CLAIM_AFTER)  # it would have taken them over, if it could
    first.kill()
    first.wait()
    await all_made(redis, database)
    for name in LONG_ONES:
        found = await notes(redis, name)
        assert found == [
            (str(first.pid), "begins"),
            (str(second.pid), "begins"),
            (str(second.pid), "ends"),
        ], (name, found)
