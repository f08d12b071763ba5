"""The book of a quota: what may stand in it, and what must never spoil it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bus.broker import connect
from infra.quota_ledger import Ledger

QUOTA = 1000


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    redis: Redis = connect(redis_url.removesuffix("/0") + "/8")
    await redis.flushdb()
    ledger = Ledger(redis)
    now = (await ledger.read("org_1")).now
    await ledger.counted("org_1", 100, now, [])
    yield ledger
    await redis.aclose()


async def hold(ledger: Ledger, upload: str, size: int, *, lease: float = 60) -> int:
    held = await ledger.hold("org_1", upload, size, size, quota=QUOTA, lease=lease, fresh=60)
    return held.granted


async def test_who_holds_nothing_yet_may_end_in_every_way(ledger: Ledger) -> None:
    for number, what in enumerate(("released", "settled", "queued")):
        assert await hold(ledger, f"upl_{number}", 0) == 0
        await ledger.end("org_1", f"upl_{number}", what, 0, lease=60, sha="a")  # type: ignore[arg-type]
    await ledger.counted("org_1", 100, (await ledger.read("org_1")).now + 1, ["upl_2"])
    assert (await ledger.read("org_1")).held == 0
    assert await hold(ledger, "upl_9", QUOTA - 100) == QUOTA - 100


async def test_a_lease_of_nothing_that_runs_out_spoils_nothing(ledger: Ledger) -> None:
    assert await hold(ledger, "upl_1", 0, lease=0) == 0
    assert await hold(ledger, "upl_2", 5, lease=0) == 5
    book = await ledger.read("org_1")
    assert (book.held, book.uploads) == (0, 0)
    assert await hold(ledger, "upl_3", QUOTA - 100) == QUOTA - 100


async def test_the_largest_numbers_are_counted_exactly(ledger: Ledger) -> None:
    size = 5 * 1024**4 + 1
    held = await ledger.hold("org_1", "upl_1", size, size, quota=2**52, lease=60, fresh=60)
    assert (held.granted, (await ledger.read("org_1")).held) == (size, size)
    await ledger.end("org_1", "upl_1", "released")
    assert (await ledger.read("org_1")).held == 0
