"""Tickets are good once, for a minute, and are not kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from notifier_stage import Server
from redis.asyncio import Redis

from contracts.types import now
from infra.settings import Settings
from infra.tickets import Ticket, TicketStore, sse_url, ws_url


@pytest.fixture
async def redis(flushed: Server) -> Redis:
    return Redis.from_url(flushed.url)


async def test_a_ticket_is_redeemed_once(redis: Redis) -> None:
    store = TicketStore(redis, 60)
    ticket, _ = await store.issue("usr_1", "ses_1", "org_1")
    assert await store.redeem(ticket) == Ticket("usr_1", "ses_1", "org_1")
    assert await store.redeem(ticket) is None


async def test_a_ticket_ends_by_itself(redis: Redis) -> None:
    _, expires_at = await TicketStore(redis, 60).issue("usr_1", "ses_1", "org_1")
    assert timedelta(seconds=58) < expires_at - now() <= timedelta(seconds=60)
    (key,) = await redis.keys("*")
    assert 58 <= await redis.ttl(key) <= 60


async def test_redis_never_sees_a_ticket(redis: Redis) -> None:
    ticket, _ = await TicketStore(redis, 60).issue("usr_1", "ses_1", "org_1")
    (key,) = await redis.keys("*")
    value = await redis.get(key)
    assert ticket.encode() not in key + value
    assert ticket[4:].encode() not in key + value


@pytest.mark.parametrize(
    "text", ["", "x", "g8t_", "g8t_" + "A" * 43, "g8t_" + "é" * 43, "A" * 9999]
)
async def test_what_is_no_ticket_is_refused(redis: Redis, text: str) -> None:
    assert await TicketStore(redis, 60).redeem(text) is None


def test_addresses_follow_the_notifiers_url() -> None:
    plain = Settings(notifier={"host": "127.0.0.1", "port": 9})
    assert ws_url(plain) == "ws://127.0.0.1:9/v1/realtime/ws"
    assert sse_url(plain) == "http://127.0.0.1:9/v1/realtime/sse"
    public = Settings(notifier={"public_url": "https://live.example/"})
    assert ws_url(public) == "wss://live.example/v1/realtime/ws"
    assert sse_url(public) == "https://live.example/v1/realtime/sse"
