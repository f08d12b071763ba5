"""Clocks: what is due is sent once a period, whichever process rings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis

from bus import streams
from bus.broker import connect, decode
from bus.publisher import Publisher
from contracts.asset.commands import ProcessAsset
from contracts.base import Command
from contracts.envelope import Envelope
from handlers.clocks import Clock, ring


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis: Redis = connect(redis_url.removesuffix("/0") + "/9")
    await redis.flushdb()
    yield redis
    await redis.aclose()


async def test_of_several_processes_one_sends_what_is_due_in_a_period(redis: Redis) -> None:
    asked = 0

    async def due() -> Sequence[Command]:
        nonlocal asked
        asked += 1
        return [ProcessAsset(asset="ast_1"), ProcessAsset(asset="ast_2")]

    clock = Clock("asset.tests", 60.0, due)
    sent = [await ring(clock, redis, Publisher(redis)) for _ in range(3)]
    assert (sent, asked) == ([2, 0, 0], 1)
    found = [
        Envelope.model_validate_json(decode(fields))
        for _, fields in await redis.xrange(streams.commands("asset", "slow"))
    ]
    assert [each.data["asset"] for each in found] == ["ast_1", "ast_2"]
    assert {each.source for each in found} == {"/grid8/clock/asset.tests"}


async def test_the_next_period_begins_when_the_last_is_over(redis: Redis) -> None:
    async def due() -> Sequence[Command]:
        return [ProcessAsset(asset="ast_1")]

    clock = Clock("asset.tests", 60.0, due)
    await ring(clock, redis, Publisher(redis))
    assert 0 < await redis.pttl("grid8:clock:asset.tests") <= 30_000
    await redis.delete("grid8:clock:asset.tests")
    assert await ring(clock, redis, Publisher(redis)) == 1
