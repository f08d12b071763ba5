"""kill -9 of a worker with its hands full: what was accepted happens, once, and is seen live."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.embedded.running import RunningStack
from tests.faults.harness import Answer, Load, check_everything, fault_stack

KILLS = 4
SENT = 240


pytestmark = pytest.mark.slow  # test_kills and test_sigterm do it to every role


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    async with fault_stack(
        tmp_path_factory.mktemp("kill"), {"GRID8_GATEWAY__REPLY_TIMEOUT": "20"}
    ) as running:
        yield running


async def ask(load: Load, number: int) -> Answer:
    """Create a brand, and put it on the record of the load."""
    record = load.mix.record("brand later" if number % 2 else "brand")
    await load.ask(record)
    return record.answers[-1]


async def test_a_killed_worker_loses_nothing_doubles_nothing_and_the_socket_sees_it_all(
    stack: RunningStack,
) -> None:
    async with Load(stack, callers=0, restless=False) as load:
        for kill in range(KILLS):
            numbers = range(kill * SENT // KILLS, (kill + 1) * SENT // KILLS)
            sending = [asyncio.create_task(ask(load, number)) for number in numbers]
            done, _ = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
            assert done
            stack.kill("worker-corp")  # with most of them in its hands
            await asyncio.gather(*sending)
            await stack.restarted("worker-corp")
        await check_everything(load)
        assert load.ends() == {"done": SENT}, load.seen
        assert load.seen == {201: SENT // 2, 202: SENT // 2}
        assert all(watcher.connections == 1 for watcher in load.watchers)


async def test_a_worker_that_is_told_to_stop_finishes_and_exits_with_zero(
    stack: RunningStack,
) -> None:
    async with Load(stack, callers=0, restless=False) as load:
        sending = [asyncio.create_task(ask(load, 2 * number)) for number in range(60)]
        await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        stack.kill("worker-corp", signal.SIGTERM)
        answers = await asyncio.gather(*sending)
        assert {answer.status for answer in answers} == {201}
        await stack.restarted("worker-corp")
        await check_everything(load)
    log = Path(stack.logs, "worker-corp.log").read_text()
    assert "draining" in log
    assert "stopped" in log
