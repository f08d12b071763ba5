"""A pass copies what is new in a push stream, whole or not at all, and notes what it missed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from bus import streams
from bus.documents import PUSH_ARCHIVE, PUSHES, Database, ensure_bus_indexes
from bus.feed import archive as archiving
from bus.feed.archive import PushArchive, key_of, position_of
from contracts.types import new_id
from infra.mongo import connect
from infra.settings import MongoSettings

STREAM = streams.push(0)
DAY = 86_400_000


class Bench:
    """A push stream and its archive, both of one's own."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self.database = database
        self.redis = redis
        self.archive = PushArchive(database, redis, shards=1, days=30)

    async def push(self, *names: str, to: str = "org_1/org") -> None:
        for name in names:
            await self.redis.xadd(STREAM, {"to": to, "id": name, "event": "{}", "copies": 1})

    async def copied(self, lane: str = "1.0/org_1") -> list[str]:
        found = await self.database[PUSHES].find({"lane": lane}).sort("last", 1).to_list()
        return [row[2] for each in found for row in each["entries"]]

    async def holes(self) -> list[list[str]]:
        found = (
            await self.database[PUSHES].find({"hole": {"$exists": True}}).sort("last", 1).to_list()
        )
        return [each["hole"] for each in found]

    async def state(self) -> dict[str, Any]:
        found = await self.database[PUSH_ARCHIVE].find_one({"_id": "1.0/"})
        assert found is not None
        return found


@pytest.fixture
async def bench(mongo_url: str, redis_url: str) -> AsyncIterator[Bench]:
    client, database = connect(MongoSettings(url=mongo_url, database=f"pushes_{new_id('t')}"))
    redis = Redis.from_url(redis_url)
    await redis.delete(STREAM)
    await ensure_bus_indexes(database)
    yield Bench(database, redis)
    await redis.delete(STREAM)
    await redis.aclose()
    await client.drop_database(database.name)
    await client.close()


async def test_a_pass_copies_what_is_new_once(bench: Bench) -> None:
    await bench.push("a", "b")
    assert (await bench.archive.advance(0)).copied == 2
    assert (await bench.archive.advance(0)).copied == 0
    await bench.push("c")
    await bench.push("d", to="org_2/org org_2/project:p")
    assert (await bench.archive.advance(0)).copied == 2
    assert await bench.copied() == ["a", "b", "c"]
    [other] = await bench.database[PUSHES].find({"lane": "1.0/org_2"}).to_list()
    assert other["entries"][0][1:] == ["org project:p", "d", 1]


async def test_a_pass_is_bounded_and_says_what_is_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "PASS", 2)
    await bench.push("first")
    await bench.archive.advance(0)
    await bench.push("a", "b", "c", "d", "e")
    left = []
    while (done := await bench.archive.advance(0)).copied:
        left.append(done.behind)
    assert left == [3, 1, 0]
    assert await bench.copied() == ["first", "a", "b", "c", "d", "e"]
    assert len(await bench.holes()) == 1  # what was before the first


async def test_what_is_trimmed_after_it_was_copied_is_no_loss(bench: Bench) -> None:
    await bench.push("a", "b")
    await bench.archive.advance(0)
    await bench.redis.xtrim(STREAM, maxlen=0, approximate=False)
    await bench.push("c")
    assert (await bench.archive.advance(0)).lost is False
    assert await bench.copied() == ["a", "b", "c"]


@pytest.mark.parametrize("more", [0, 2])
async def test_what_is_trimmed_before_it_was_copied_is_a_hole(bench: Bench, more: int) -> None:
    await bench.push("a")
    await bench.archive.advance(0)
    begin = (await bench.state())["through"]
    await bench.push("b", "c")
    await bench.redis.xtrim(STREAM, maxlen=0, approximate=False)
    await bench.push(*"de"[:more])
    assert (await bench.archive.advance(0)).lost is True
    assert (await bench.holes())[-1][0] == begin
    await bench.push("f")
    assert (await bench.archive.advance(0)).lost is False
    assert await bench.copied() == ["a", *"de"[:more], "f"]


async def test_a_stream_that_was_made_anew_is_a_hole(bench: Bench) -> None:
    await bench.push("a")
    await bench.archive.advance(0)
    await bench.redis.delete(STREAM)
    assert (await bench.archive.advance(0)).copied == 0
    await bench.push("b")
    assert (await bench.archive.advance(0)).lost is True
    assert await bench.copied() == ["a", "b"]


async def test_a_pass_that_met_another_does_nothing(bench: Bench) -> None:
    await bench.push("a")
    await bench.archive.advance(0)
    before = await bench.state()
    await bench.push("b")
    await bench.archive.advance(0)
    late = PushArchive(bench.database, bench.redis, shards=1, days=30)
    assert not await late._write("1.0/", before, (2**40, 0), 2, [{"_id": "x"}])
    assert await bench.copied() == ["a", "b"]
    assert await bench.database[PUSHES].find_one({"_id": "x"}) is None


async def test_documents_expire_an_hour_after_the_cursors_that_need_them(bench: Bench) -> None:
    at = int(time.time() * 1000) - 29 * DAY
    await bench.redis.xadd(STREAM, {"to": "org_1/org", "id": "a"}, id=f"{at}-0")
    await bench.archive.advance(0)
    [document] = await bench.database[PUSHES].find({"lane": "1.0/org_1"}).to_list()
    assert document["expires"].timestamp() * 1000 == pytest.approx(at + 30 * DAY + 3_600_000, abs=2)


async def test_what_has_expired_stays_so_when_retention_is_raised(bench: Bench) -> None:
    await bench.push("a")
    short = PushArchive(bench.database, bench.redis, shards=1, days=1)
    await short.advance(0)
    begins = position_of((await bench.state())["begins"])[0]
    assert begins == pytest.approx(time.time() * 1000 - DAY, abs=60_000)
    await bench.push("b")
    await bench.archive.advance(0)
    assert position_of((await bench.state())["begins"])[0] == begins


def test_keys_are_in_the_order_of_positions() -> None:
    positions = [(5, 0), (5, 10), (50, 9), (50, 10**18 * 5), (2**62, 0)]
    assert sorted(map(key_of, positions)) == [key_of(each) for each in positions]
    assert [position_of(key_of(each)) for each in positions] == positions
