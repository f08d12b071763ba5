"""SIGTERM under load: a role drains within its grace, hands back the rest, and exits with 0.

What a stopped process keeps would wait until it is claimed, which takes a minute here.
"""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator

import pytest

from infra.embedded.running import RunningStack
from tests.faults.harness import BROKEN, PROCESSES, Load, check_everything, fault_stack

CLAIM_AFTER = 60
REPLY_TIMEOUT = 45
PROMPT = 40.0
"""Seconds a command takes at most when it need not be claimed, restart included."""

ENV = {
    "GRID8_WORKER__CLAIM_AFTER": str(CLAIM_AFTER),
    "GRID8_WORKER__HEARTBEAT": "5",
    "GRID8_GATEWAY__REPLY_TIMEOUT": str(REPLY_TIMEOUT),
    # So few that some of what is read has to wait for a slot.
    "GRID8_WORKER__SLOTS": "4",
}


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    async with fault_stack(tmp_path_factory.mktemp("sigterm"), ENV) as running:
        yield running


@pytest.mark.slow
async def test_each_role_that_is_told_to_stop_drains_hands_back_the_rest_and_exits_with_zero(
    stack: RunningStack,
) -> None:
    async with Load(stack, callers=16, pace=0.02) as load:
        for role in PROCESSES:
            await load.flows(20)
            child = stack.process(role)
            began = time.monotonic()
            await stack.hold(role, signal.SIGTERM)
            took = time.monotonic() - began
            assert child.exit_code == 0, f"{role}: {child.last_words()}"
            assert took < child.process.grace, role
            assert load.seen[503] == 0, role
            assert load.seen[BROKEN] == 0, "what the gateway had begun it did not finish"
            await stack.release(role)
        await load.flows(20)
        await load.finish()
        assert load.slowest < PROMPT, "something waited to be claimed"
        await check_everything(load, seconds=PROMPT)
