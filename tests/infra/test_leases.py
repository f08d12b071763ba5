from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bus.broker import connect
from infra.leases import Lease, LeaseTaken, leased


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    redis: Redis = connect(redis_url.removesuffix("/0") + "/9")
    yield redis
    await redis.aclose()


@pytest.fixture
def name() -> str:
    return f"test:{secrets.token_hex(8)}"


async def test_one_holds_it_and_gives_it_back(redis: Redis, name: str) -> None:
    async with leased(redis, name) as lease:
        assert lease.held
        with pytest.raises(LeaseTaken):
            async with leased(redis, name):
                pass
    async with leased(redis, name):
        pass


async def test_who_waits_gets_it_when_it_is_given_back(redis: Redis, name: str) -> None:
    order: list[str] = []
    has = asyncio.Event()

    async def first() -> None:
        async with leased(redis, name):
            has.set()
            await asyncio.sleep(0.2)
            order.append("first")

    async def second() -> None:
        await has.wait()
        async with leased(redis, name, patience=10):
            order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]


async def test_it_is_kept_as_long_as_its_holder_lives(redis: Redis, name: str) -> None:
    async with leased(redis, name, seconds=0.4) as lease:
        with pytest.raises(LeaseTaken):
            async with leased(redis, name, patience=1.2):
                pass
        assert lease.held
        assert lease.wanted


async def test_one_whose_holder_died_frees_itself(redis: Redis, name: str) -> None:
    dead = Lease(redis, name, "dead", 0.3)
    await dead.take(0)
    begun = time.monotonic()
    async with leased(redis, name, patience=10):
        assert time.monotonic() - begun >= 0.2
        assert not dead.held


async def test_who_has_lost_it_knows_and_takes_nobody_elses(redis: Redis, name: str) -> None:
    async with leased(redis, name, seconds=0.4) as lease:
        await redis.set(f"grid8:lease:{{{name}}}", "somebody else")

        async def lost() -> None:
            while lease.held:  # noqa: ASYNC110 - it is lost elsewhere
                await asyncio.sleep(0.02)

        await asyncio.wait_for(lost(), 10)
    assert await redis.get(f"grid8:lease:{{{name}}}") in (b"somebody else", "somebody else")


async def test_who_was_waited_for_before_is_not_wanted_again(redis: Redis, name: str) -> None:
    async with leased(redis, name, seconds=0.8):
        with pytest.raises(LeaseTaken):
            async with leased(redis, name, seconds=0.8):
                pass
    async with leased(redis, name, seconds=0.8) as lease:
        await asyncio.sleep(0.3)
        assert lease.held
        assert not lease.wanted
