"""Redis goes away under load, and comes back: nobody restarts, nothing answered is untrue.

FLUSHALL, after which nothing is as it was, has a file of its own: test_flushall.py.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.embedded.running import RunningStack
from tests.faults.harness import (
    PROCESSES,
    Load,
    check_everything,
    check_ready,
    fault_stack,
    generations,
    stores_of,
)

AWAY = 8.0
"""Seconds an outage lasts: longer than clients try again by themselves."""
ENOUGH = 40
SHORTAGES = 5


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    async with fault_stack(tmp_path_factory.mktemp("redis")) as running:
        yield running


@asynccontextmanager
async def survived(stack: RunningStack, *, killing: bool = False) -> AsyncIterator[Load]:
    """A load that must survive what is done inside, and so must every process, unless killed."""
    before = generations(stack)
    async with Load(stack) as running:
        await running.answered(ENOUGH)
        yield running
        await running.answered(ENOUGH)
        await check_everything(running)
        await check_ready(running.http, stack)
        assert running.ends()["done"] > ENOUGH
    assert killing or generations(stack) == before, "a process died of it"


async def test_a_restart_of_redis_costs_nothing_but_time(stack: RunningStack) -> None:
    async with survived(stack):
        stack.kill("valkey", signal.SIGTERM)
        await stack.restarted("valkey")


@pytest.mark.slow
async def test_an_outage_of_redis_is_answered_503_and_everybody_reads_on_after_it(
    stack: RunningStack,
) -> None:
    async with survived(stack) as load:
        await stack.hold("valkey")
        await load.met(503, 8)
        await asyncio.sleep(AWAY)
        await stack.release("valkey")


@pytest.mark.slow
async def test_processes_that_start_while_redis_is_away_come_up_once_it_is_back(
    stack: RunningStack,
) -> None:
    async with survived(stack, killing=True) as load:
        await stack.hold("valkey")
        for role in PROCESSES:
            stack.kill(role)
        await asyncio.sleep(AWAY)
        await stack.release("valkey")
        for role in PROCESSES:
            await stack.restarted(role, timeout=90)
        await load.flows(30)
    said = Path(stack.logs, "gateway.log").read_text().split("\n")
    [*_, last] = [line for line in said if " started " in line]
    assert "durable=always" in last, "it has not asked how durable Redis is"


async def test_what_was_answered_is_in_the_append_only_file_of_a_redis_that_is_killed(
    stack: RunningStack,
) -> None:
    async with survived(stack) as load:
        for _ in range(2):
            stack.kill("valkey")
            await stack.restarted("valkey")
            await load.answered(ENOUGH)


@pytest.mark.parametrize(
    ("setting", "short"),
    [
        pytest.param("maxmemory", 1024, id="no memory"),
        # A group's read is a write too.
        pytest.param("min-replicas-to-write", 1, id="no writes", marks=pytest.mark.slow),
    ],
)
async def test_what_redis_refuses_is_answered_503_and_done_when_it_takes_writes_again(
    stack: RunningStack, setting: str, short: int
) -> None:
    async with survived(stack) as load, stores_of(stack) as stores:
        for _ in range(SHORTAGES):
            await stores.redis.config_set(setting, short)  # with commands in everybody's hands
            try:
                await load.met(503, 12)
            finally:
                await stores.redis.config_set(setting, 0)
            await load.flows(20)


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(10, marks=pytest.mark.slow),
        # Longer than a connection waits for an answer.
        pytest.param(25, marks=pytest.mark.slow),
    ],
)
async def test_a_stall_of_redis_keeps_no_request_waiting_longer_than_it_may(
    stack: RunningStack, seconds: int
) -> None:
    async with survived(stack) as load:
        before = load.slowest
        stack.kill("valkey", signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
            while_it_stood = load.seen[503]
        finally:
            stack.kill("valkey", signal.SIGCONT)
        assert while_it_stood, f"nobody was answered: {load.seen}"
        await load.answered(ENOUGH)
        # Patience with one dependency, the wait for a reply, patience once more; and the machine.
        assert load.slowest < max(before, 6 + 3 + 6) + 5
