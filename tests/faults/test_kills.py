"""kill -9 of every role at random instants under a mixed load.

FAULTS_SEED repeats a run, as far as chance goes.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator

import pytest

from infra.embedded.running import RunningStack
from tests.faults.harness import PROCESSES, Killer, Load, check_everything, fault_stack

FEW = 12
MANY = 204


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    async with fault_stack(tmp_path_factory.mktemp("kills")) as running:
        yield running


async def kill_under_load(stack: RunningStack, kills: int, *, gap: float, pace: float) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**9))
    print(f"FAULTS_SEED={seed}")
    async with Load(stack, seed=seed, pace=pace) as load:
        await load.answered(20)
        killer = Killer(load, random.Random(seed), gap=gap)
        await killer.kill(kills)
        assert killer.killed.total() >= kills, killer.killed
        assert set(killer.killed) == set(PROCESSES)
        await load.answered(20)
        await check_everything(load)
        print(f"killed {dict(killer.killed)}; answers {load.seen}; ends {load.ends()}")
        assert load.ends()["done"] > len(load.records) / 3, load.ends()


async def test_of_a_dozen_kills_over_all_roles_nobody_notices_more_than_a_broken_connection(
    stack: RunningStack,
) -> None:
    await kill_under_load(stack, FEW, gap=1.0, pace=0.0)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_of_two_hundred_kills_over_all_roles_nobody_notices_more_than_a_broken_connection(
    stack: RunningStack,
) -> None:
    await kill_under_load(stack, MANY, gap=2.0, pace=0.05)
