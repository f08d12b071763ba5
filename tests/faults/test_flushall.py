"""FLUSHALL under load: what was answered is true, and every event still reaches everybody once.

Redis keeps the sessions too, so everybody is signed out by it; the callers sign in again. Only
the session of the sockets is put back in the same step, so that they live on and can tell
what they are shown twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from bus import streams
from infra.embedded.running import RunningStack
from tests.faults.harness import (
    Caller,
    Load,
    Stores,
    check_everything,
    fault_stack,
    stores_of,
    until,
)

FLUSHES = 2
BEFORE, AFTER = 120, 80
"""Answers before the first flush and after each."""


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    async with fault_stack(tmp_path_factory.mktemp("flushall")) as running:
        yield running


@pytest.fixture
async def stores(stack: RunningStack) -> AsyncIterator[Stores]:
    async with stores_of(stack) as opened:
        yield opened


async def flush(redis: Redis, session: str) -> None:
    """FLUSHALL, and one session back in the same step."""
    kept = await redis.hgetall(f"grid8:session:{session}")
    assert kept
    async with redis.pipeline(transaction=True) as pipe:
        pipe.flushall()
        pipe.hset(f"grid8:session:{session}", mapping=kept)
        await pipe.execute()


async def test_a_flush_under_load_makes_no_answer_false_and_no_event_late_or_double(
    stack: RunningStack, stores: Stores
) -> None:
    async with Load(stack, forgetful=True, restless=False) as load:
        await load.answered(BEFORE)
        for _ in range(FLUSHES):
            await flush(stores.redis, load.observer.session)
            await load.answered(AFTER)
        await check_everything(load)
        ends = load.ends()
        assert ends["done"] + ends["refused"] > 0.7 * len(load.records), ends
        assert any(each.kind.startswith("asset") and each.end == "done" for each in load.records)
        assert [each.connections for each in load.watchers] == [1, 1], "a socket was cut"


async def test_a_command_that_is_lost_fails_for_good(stack: RunningStack, stores: Stores) -> None:
    async with aiohttp.ClientSession() as http:
        owner = await Caller.new(http, stack.gateway_url, forgiving=True)
        other = await Caller.new(http, stack.gateway_url, forgiving=True)
        made = await owner.send("POST", "/v1/orgs", json={"name": "Lost"})
        brands = f"/v1/orgs/{made.body['id']}/brands"
        await stack.hold("worker-corp")
        try:
            accepted = await lose_two(owner, other, brands, stores.redis)
        finally:
            await stack.release("worker-corp")
        key = {"Idempotency-Key": "one"}
        again = await owner.send("POST", brands, json={"name": "at once"}, headers=key)
        assert again.status == 201, "the key is free for another try"
        view = (await owner.send("GET", accepted)).body
        assert view["status"] == "failed"
        names = [each["name"] for each in await stores.database["brands"].find().to_list()]
        assert names.count("at once") == 1
        assert names.count("later") == 0


async def lose_two(owner: Caller, other: Caller, brands: str, redis: Redis) -> str:
    """Lose a command that was accepted and one that is waited for; where the first is shown."""
    later = {"Prefer": "respond-async"}
    accepted = await owner.send("POST", brands, json={"name": "later"}, headers=later)
    shown: str = accepted.body["status_url"]
    pending = await owner.send("GET", shown)
    assert (pending.status, pending.body["status"]) == (200, "pending")
    assert (await other.send("GET", shown)).status == 404
    key = {"Idempotency-Key": "one"}
    waiting = asyncio.create_task(owner.send("POST", brands, json={"name": "at once"}, headers=key))

    async def two_wait() -> Any:
        return await redis.xlen(streams.commands("corp")) >= 2 and bool(
            [each async for each in redis.scan_iter("grid8:idempotency:*")]
        )

    await until(two_wait, "both commands wait")
    await redis.flushall()
    assert (await other.send("GET", shown)).status == 404, "it is none of theirs"
    failed = await owner.send("GET", shown)
    assert (failed.status, failed.body["status"]) == (200, "failed")
    assert failed.body["problem"]["code"] == "command_lost"
    lost = await waiting
    assert (lost.status, lost.code) == (503, "command_lost")
    unheard = "/v1/commands/cmd_" + "0" * 46
    assert (await owner.send("GET", unheard)).status == 404
    return shown
