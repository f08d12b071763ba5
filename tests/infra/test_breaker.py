from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from infra.breaker import STATE, Breakers, DependencyUnavailable
from infra.settings import BreakerSettings

TTL = 0.3


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def name() -> str:
    return f"dep-{uuid.uuid4().hex}"


@pytest.fixture(params=["memory", "redis"])
def breakers(request: pytest.FixtureRequest, redis: Redis) -> Breakers:
    return Breakers(redis if request.param == "redis" else None, settings())


def settings(threshold: int = 3) -> BreakerSettings:
    return BreakerSettings(threshold=threshold, ttl=TTL)


async def fail(breakers: Breakers, name: str, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(ConnectionError):
            async with breakers.guard(name):
                raise ConnectionError("down")


async def succeed(breakers: Breakers, name: str) -> None:
    async with breakers.guard(name):
        pass


async def until_it_may_be_tried(breakers: Breakers, name: str) -> float:
    """Wait exactly as long as a refusal says."""
    with pytest.raises(DependencyUnavailable) as refused:
        await succeed(breakers, name)
    await asyncio.sleep(refused.value.retry_after + 0.01)
    return refused.value.retry_after


async def test_a_circuit_opens_after_the_threshold_and_says_when_to_come_back(
    breakers: Breakers, name: str
) -> None:
    await fail(breakers, name, 3)
    ran = False
    with pytest.raises(DependencyUnavailable) as refused:
        async with breakers.guard(name):
            ran = True
    assert not ran
    assert refused.value.name == name
    assert 0 < refused.value.retry_after <= TTL
    assert STATE.labels(name)._value.get() == 2


async def test_a_success_between_failures_starts_the_count_again(
    breakers: Breakers, name: str
) -> None:
    await fail(breakers, name, 2)
    await succeed(breakers, name)
    await fail(breakers, name, 2)
    await succeed(breakers, name)


async def test_exceptions_that_are_not_counted_never_open_a_circuit(
    breakers: Breakers, name: str
) -> None:
    for _ in range(10):
        with pytest.raises(KeyError):
            async with breakers.guard(name, counted=(ConnectionError,)):
                raise KeyError("an answer")
    await succeed(breakers, name)


async def test_only_the_passed_types_count(breakers: Breakers, name: str) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with breakers.guard(name, counted=(ZeroDivisionError,)):
                raise ZeroDivisionError
    with pytest.raises(DependencyUnavailable):
        await succeed(breakers, name)


async def test_after_the_pause_a_success_closes_the_circuit(breakers: Breakers, name: str) -> None:
    await fail(breakers, name, 3)
    await until_it_may_be_tried(breakers, name)
    await succeed(breakers, name)
    await fail(breakers, name, 2)
    await succeed(breakers, name)
    assert STATE.labels(name)._value.get() == 0


async def test_after_the_pause_one_failure_opens_the_circuit_again(
    breakers: Breakers, name: str
) -> None:
    await fail(breakers, name, 3)
    await until_it_may_be_tried(breakers, name)
    await fail(breakers, name)
    with pytest.raises(DependencyUnavailable):
        await succeed(breakers, name)


async def test_only_one_call_tries_a_half_open_circuit(breakers: Breakers, name: str) -> None:
    await fail(breakers, name, 3)
    await until_it_may_be_tried(breakers, name)
    async with breakers.guard(name):
        with pytest.raises(DependencyUnavailable):
            await succeed(breakers, name)
    await succeed(breakers, name)


async def test_a_cancelled_try_lets_the_next_one_try(breakers: Breakers, name: str) -> None:
    await fail(breakers, name, 3)
    await until_it_may_be_tried(breakers, name)
    with pytest.raises(asyncio.CancelledError):
        async with breakers.guard(name):
            raise asyncio.CancelledError
    await succeed(breakers, name)


async def test_cancelled_calls_are_neither_failures_nor_successes(
    breakers: Breakers, name: str
) -> None:
    await fail(breakers, name, 2)
    for _ in range(5):
        with pytest.raises(asyncio.CancelledError):
            async with breakers.guard(name):
                raise asyncio.CancelledError
    await fail(breakers, name)
    with pytest.raises(DependencyUnavailable):
        await succeed(breakers, name)


async def test_failures_at_the_same_time_are_all_counted(breakers: Breakers, name: str) -> None:
    inside = asyncio.Barrier(3)

    async def call() -> None:
        async with breakers.guard(name):
            await inside.wait()
            raise ConnectionError("down")

    results = await asyncio.gather(*(call() for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionError] * 3
    with pytest.raises(DependencyUnavailable):
        await succeed(breakers, name)


async def test_processes_share_a_circuit(redis_url: str, name: str) -> None:
    async with (
        Redis.from_url(redis_url) as first,
        Redis.from_url(redis_url, decode_responses=True) as second,
    ):
        one, two = Breakers(first, settings()), Breakers(second, settings())
        await one.start()
        await two.start()
        await fail(one, name, 2)
        await fail(two, name, 1)
        for breakers in (one, two):
            with pytest.raises(DependencyUnavailable):
                await succeed(breakers, name)
        await until_it_may_be_tried(two, name)
        await succeed(two, name)
        await succeed(one, name)


async def test_circuits_do_not_open_each_other(breakers: Breakers, name: str) -> None:
    await fail(breakers, name, 3)
    await succeed(breakers, name + "-other")


async def test_a_healthy_circuit_leaves_nothing_in_redis(redis: Redis, name: str) -> None:
    breakers = Breakers(redis, settings())
    await fail(breakers, name, 3)
    assert await redis.keys(f"grid8:breaker:*{name}*")
    await until_it_may_be_tried(breakers, name)
    await succeed(breakers, name)
    assert await redis.keys(f"grid8:breaker:*{name}*") == []


async def test_without_redis_the_calls_go_on_and_the_breaker_still_works(name: str) -> None:
    async with Redis(host="127.0.0.1", port=1, socket_timeout=0.2) as nowhere:
        breakers = Breakers(nowhere, settings())
        await breakers.start()
        started = time.monotonic()
        for _ in range(100):
            await succeed(breakers, name)
        assert time.monotonic() - started < 1
        await fail(breakers, name, 3)
        with pytest.raises(DependencyUnavailable):
            await succeed(breakers, name)


async def test_a_redis_that_never_answers_holds_a_call_up_for_half_a_second_at_most(
    name: str,
) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Redis(host="127.0.0.1", port=port, socket_timeout=10) as mute:
        breakers = Breakers(mute, settings())
        started = time.monotonic()
        for _ in range(20):
            await succeed(breakers, name)
        assert time.monotonic() - started < 2
