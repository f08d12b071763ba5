"""A cursor resumes from the archive where the push stream no longer holds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from notifier_stage import ORG, Stage, WsClient, envelope_of, until

from bus import streams
from bus.documents import EVENTS, PUSH_ARCHIVE, PUSHES
from bus.feed.archive import key_of, position_of
from bus.feed.push_cursor import decode, encode, format_id, parse_id

WEEK = 7 * 86_400_000


def number(frame: dict[str, Any]) -> int:
    assert frame["op"] == "event", frame
    return int(frame["event"]["data"]["n"])


async def numbers(client: WsClient, last: int) -> list[int]:
    seen: list[int] = []
    while not seen or seen[-1] != last:
        seen.append(number(await client.receive()))
    return seen


async def caught_up(stage: Stage) -> None:
    """Wait until everything that was pushed is archived."""
    assert stage.database is not None
    states = stage.database[PUSH_ARCHIVE]

    async def done() -> bool:
        for shard in range(stage.settings.notifier.push_shards):
            end = (await stage.redis.xinfo_stream(streams.push(shard)))["last-generated-id"]
            state = await states.find_one(
                {"_id": f"{stage.settings.notifier.push_shards}.{shard}/"}
            )
            if state is None or position_of(state["through"]) < parse_id(end):
                return False
        return True

    await until(done, "the archive has caught up")


async def trim(stage: Stage, keep: int = 0) -> None:
    for shard in range(stage.settings.notifier.push_shards):
        await stage.redis.xtrim(streams.push(shard), maxlen=keep, approximate=False)


async def begin(stage: Stage, channel: str = "org") -> str:
    async with stage.ws() as client:
        cursor: str = (await client.subscribe(channel))["cursor"]
    return cursor


async def age(stage: Stage, milliseconds: int) -> None:
    """Make all that was archived and logged so much older."""
    assert stage.database is not None

    def earlier(key: str) -> str:
        ms, sequence = position_of(key)
        return key_of((ms - milliseconds, sequence))

    async for each in stage.database[PUSHES].find():
        changed: dict[str, Any] = {
            "last": earlier(each["last"]),
            "expires": each["expires"] - timedelta(milliseconds=milliseconds),
        }
        if "hole" in each:
            changed["hole"] = [earlier(key) for key in each["hole"]]
        if "entries" in each:
            changed["entries"] = [
                [
                    format_id(
                        (parse_id(row[0].encode())[0] - milliseconds, parse_id(row[0].encode())[1])
                    ),
                    *row[1:],
                ]
                for row in each["entries"]
            ]
        await stage.database[PUSHES].update_one({"_id": each["_id"]}, {"$set": changed})
    await stage.database[EVENTS].update_many({}, {"$inc": {"logged": -milliseconds * 1000}})
    await stage.database[EVENTS].update_many(
        {}, [{"$set": {"time": {"$subtract": ["$time", milliseconds]}}}]
    )


def aged(cursor: str, milliseconds: int) -> str:
    shards = int(cursor[1:].partition(".")[0])
    return encode(
        shards,
        {shard: (ms - milliseconds, seq) for shard, (ms, seq) in decode(cursor, shards).items()},
    )


async def test_what_the_stream_no_longer_holds_comes_from_the_archive(archived: Stage) -> None:
    async with archived.ws() as client:
        await client.subscribe()
        for each in range(3):
            await archived.custom(each)
        before = [await client.receive() for _ in range(3)]
    missed = [await archived.custom(each) for each in range(3, 9)]
    await caught_up(archived)
    await trim(archived)
    async with archived.ws() as client:
        answer = await client.subscribe(since=before[1]["cursor"])
        assert answer["recovered"] is True
        assert answer["cursor"] == before[1]["cursor"]
        frames = [await client.receive() for _ in range(7)]
        await archived.custom(9)
        frames.append(await client.receive())
    assert [number(each) for each in frames] == list(range(2, 10))
    assert frames[0] == before[2]
    assert [each["event"]["id"] for each in frames[1:7]] == [each.id for each in missed]


async def test_a_week_later_everything_missed_comes_in_order_and_then_what_is_live(
    archived: Stage,
) -> None:
    cursor = await begin(archived)
    for each in range(300):
        await archived.custom(each)
        if each % 100 == 0:
            await caught_up(archived)
    await caught_up(archived)
    await trim(archived)
    await age(archived, WEEK)
    async with archived.ws() as client:
        answer = await client.subscribe(since=aged(cursor, WEEK))
        assert answer["recovered"] is True
        await archived.custom(300)
        assert await numbers(client, 300) == list(range(301))


async def test_past_retention_comes_a_reset_with_where_to_look(archived: Stage) -> None:
    cursor = await begin(archived)
    await archived.custom(1)
    await caught_up(archived)
    await trim(archived)
    days = archived.settings.notifier.archive_days
    async with archived.ws() as client:
        old = aged(cursor, days * 86_400_000 + 60_000)
        assert (await client.subscribe(since=old))["recovered"] is False
        reset = await client.receive()
        assert (reset["op"], reset["snapshot"]) == ("reset", f"/v1/orgs/{ORG}")
        await archived.custom(2)
        assert await numbers(client, 2) == [2]


@pytest.mark.parametrize("lose", ["trim", "delete"])
async def test_what_was_lost_before_any_copy_comes_from_the_event_log(
    make_archived: Callable[..., Awaitable[Stage]], lose: str
) -> None:
    stage = await make_archived(archive_every=30)
    async with stage.ws() as client:
        await client.subscribe()
        await stage.custom(0)
        cursor = (await client.receive())["cursor"]
    for each in range(1, 6):
        await stage.custom(each)
    if lose == "trim":
        await trim(stage)
    else:
        await stage.redis.delete(streams.push(0))
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        await stage.custom(6)
        frames = [await client.receive() for _ in range(6)]
        assert [number(each) for each in frames] == list(range(1, 7))
    async with stage.ws() as client:
        assert (await client.subscribe(since=frames[2]["cursor"]))["recovered"] is True
        assert await numbers(client, 6) == [4, 5, 6]


async def test_a_hole_in_the_archive_is_filled_where_it_is(archived: Stage) -> None:
    cursor = await begin(archived)
    await archived.custom(0)
    await caught_up(archived)
    # At once, so that no pass comes between.
    lost = [envelope_of("custom.test.counted", {"n": each}) for each in range(1, 4)]
    await archived.log(*lost)
    async with archived.redis.pipeline(transaction=True) as pipe:
        for each in lost:
            pipe.xadd(streams.push(0), {"to": "org_1/org", "id": each.id})
        pipe.xtrim(streams.push(0), maxlen=0, approximate=False)
        await pipe.execute()
    await caught_up(archived)
    await archived.custom(4)
    await caught_up(archived)
    await trim(archived)
    async with archived.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        frames = [await client.receive() for _ in range(5)]
        assert [number(each) for each in frames] == list(range(5))
    for at in range(4):
        async with archived.ws() as client:
            assert (await client.subscribe(since=frames[at]["cursor"]))["recovered"] is True
            assert await numbers(client, 4) == list(range(at + 1, 5))
