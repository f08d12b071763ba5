"""Failed sign-ins: how long the next has to wait, and for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bus.broker import connect
from infra.attempts import Attempts
from infra.embedded.ports import free_port
from infra.networks import network_of

EMAIL, HOME, AWAY = "olga@example.com", "192.0.2.1", "198.51.100.7"


@dataclass
class Clock:
    """The time as Attempts sees it."""

    now: float = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("infra.attempts.time", made)
    return made


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    made = connect(redis_url.removesuffix("/0") + "/4")
    await made.flushdb()
    yield made
    await made.aclose()


@pytest.fixture
def attempts(redis: Redis) -> Attempts:
    return Attempts(redis, free=5, free_of_address=20, longest=900, decay=1800)


async def fail(attempts: Attempts, times: int, *, address: str = AWAY, email: str = EMAIL) -> None:
    for _ in range(times):
        assert await attempts.begin(email, address) == 0
        await attempts.failed(address)


async def test_the_first_failures_are_free_and_each_then_doubles_the_wait(
    attempts: Attempts, clock: Clock
) -> None:
    await fail(attempts, 5)
    for expected in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        assert await attempts.begin(EMAIL, AWAY) == pytest.approx(expected, abs=0.01)
        clock.now += expected - 0.01
        assert 0 < await attempts.begin(EMAIL, AWAY) < 0.02, "asking does not make it longer"
        clock.now += 0.02
        await fail(attempts, 1)


async def test_whoever_waits_as_long_as_told_is_not_told_to_wait_again(
    attempts: Attempts, clock: Clock
) -> None:
    """The account's wait was not looked at while there was one for the address."""
    for number in range(14):
        await fail(attempts, 1, email=f"somebody{number}@example.com")
    for wait in (0, 0, 0, 0, 0, 1, 2):
        clock.now += wait
        await fail(attempts, 1)
    told = await attempts.begin(EMAIL, AWAY)
    assert told == pytest.approx(4, abs=0.01), "the account's 4 s, not the address's 2 s"
    clock.now += told
    assert await attempts.begin(EMAIL, AWAY) == 0


async def test_of_a_hundred_at_once_only_the_free_ones_are_tried(
    attempts: Attempts, clock: Clock
) -> None:
    waits = await asyncio.gather(*(attempts.begin(EMAIL, AWAY) for _ in range(100)))
    assert sum(wait == 0 for wait in waits) == 5


async def test_failures_are_forgotten_one_after_the_other(attempts: Attempts, clock: Clock) -> None:
    await fail(attempts, 5)
    assert await attempts.begin(EMAIL, AWAY) > 0
    clock.now += 1800 * 2
    await fail(attempts, 2)
    assert await attempts.begin(EMAIL, AWAY) > 0
    clock.now += 1800 * 10
    await fail(attempts, 5)


async def test_success_forgets_the_accounts_failures(attempts: Attempts, clock: Clock) -> None:
    for _ in range(3):
        await fail(attempts, 4)
        assert await attempts.begin(EMAIL, AWAY) == 0
        await attempts.succeeded(EMAIL, AWAY)


async def test_what_is_taken_back_was_no_failure_but_forgets_none(
    attempts: Attempts, clock: Clock
) -> None:
    for _ in range(20):
        assert await attempts.begin(EMAIL, AWAY) == 0
        await attempts.take_back(EMAIL, AWAY)
    await fail(attempts, 4)
    assert await attempts.begin(EMAIL, AWAY) == 0
    await attempts.take_back(EMAIL, AWAY)
    await fail(attempts, 1)
    assert await attempts.begin(EMAIL, AWAY) > 0, "the code of a second factor is guessed no faster"


async def test_who_fails_elsewhere_does_not_keep_the_owner_out(
    attempts: Attempts, clock: Clock
) -> None:
    assert await attempts.begin(EMAIL, HOME) == 0
    await attempts.succeeded(EMAIL, HOME)
    await fail(attempts, 5)
    assert await attempts.begin(EMAIL, AWAY) > 0
    assert await attempts.begin(EMAIL, "203.0.113.9") > 0, "one counter for all strangers"
    await fail(attempts, 5, address=HOME)
    assert await attempts.begin(EMAIL, HOME) > 0, "and one of its own for home"


async def test_another_account_has_its_own_counter_in_whatever_case(
    attempts: Attempts, clock: Clock
) -> None:
    await fail(attempts, 5)
    assert await attempts.begin(EMAIL.upper(), AWAY) > 0
    assert await attempts.begin("other@example.com", AWAY) == 0


async def test_one_address_fails_at_many_accounts_only_so_often(
    attempts: Attempts, clock: Clock
) -> None:
    for number in range(20):
        await fail(attempts, 1, email=f"somebody{number}@example.com")
    assert await attempts.begin("somebody99@example.com", AWAY) == pytest.approx(1, abs=0.01)
    assert await attempts.begin("somebody99@example.com", HOME) == 0
    await attempts.succeeded("somebody99@example.com", AWAY)
    assert await attempts.begin("somebody98@example.com", AWAY) > 0, "of one success no credit"


async def test_a_network_of_ipv6_is_one_address(attempts: Attempts, clock: Clock) -> None:
    for number in range(20):
        await fail(attempts, 1, email=f"a{number}@example.com", address=f"2001:db8::{number:x}")
    assert await attempts.begin("b@example.com", "2001:db8::ffff") > 0
    assert await attempts.begin("b@example.com", "2001:db8:0:1::1") == 0


def test_what_is_no_address_is_left_as_it_is() -> None:
    assert network_of("unknown", 24, 48) == "unknown"
    assert network_of("192.0.2.9", 24, 48) == "192.0.2.0/24"
    assert network_of("::ffff:192.0.2.9", 24, 48) == "192.0.2.0/24"


async def test_nothing_tells_which_addresses_were_tried_and_all_of_it_expires(
    attempts: Attempts, redis: Redis
) -> None:
    await fail(attempts, 2)
    await attempts.succeeded("other@example.com", AWAY)
    keys = await redis.keys("*")
    assert len(keys) == 3
    for key in keys:
        assert b"olga" not in key
        assert 0 < await redis.ttl(key) <= 90 * 86400


async def test_familiar_addresses_of_an_account_are_not_without_number(
    attempts: Attempts, redis: Redis, clock: Clock
) -> None:
    for number in range(60):
        clock.now += 1
        await attempts.succeeded(EMAIL, f"192.0.2.{number}")
    (key,) = await redis.keys("*familiar")
    assert await redis.zcard(key) == 50


async def test_without_redis_nobody_may_try() -> None:
    away = connect(f"redis://127.0.0.1:{free_port()}/0")
    attempts = Attempts(away, free=5, free_of_address=20, longest=900, decay=1800)
    with pytest.raises((RedisError, OSError)):
        await attempts.begin(EMAIL, HOME)
    await away.aclose()
