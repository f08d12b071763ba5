"""Keys in Redis, seen from the gateway that claims them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from bus.broker import connect
from gateway.errors import KeyInProgress, KeyReused
from gateway.idempotency import Idempotency


@pytest.fixture
async def idempotency(redis_url: str) -> AsyncIterator[Idempotency]:
    redis = connect(redis_url)
    yield Idempotency(redis, secrets.token_bytes(32), patience=60)
    await redis.aclose()


async def test_a_claim_whose_reply_was_lost_is_still_ones_own(idempotency: Idempotency) -> None:
    first = await idempotency.claim("olga", "key", "request", "cmd_1")
    again = await idempotency.claim("olga", "key", "request", "cmd_1")
    assert (again.command, again.answer) == (first.command, None)


async def test_another_request_with_the_key_waits_and_another_body_is_refused(
    idempotency: Idempotency,
) -> None:
    await idempotency.claim("olga", "key", "request", "cmd_1")
    with pytest.raises(KeyInProgress):
        await idempotency.claim("olga", "key", "request", "cmd_2")
    with pytest.raises(KeyReused):
        await idempotency.claim("olga", "key", "another", "cmd_2")
    assert (await idempotency.claim("ann", "key", "another", "cmd_3")).command == "cmd_3"
