"""Redis loses pushes before they are archived, or after: a client is told each event once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from archive_stage import begin, caught_up, number, numbers, trim
from notifier_stage import Stage, envelope_of, until

from bus import streams
from bus.documents import PUSHES
from bus.feed.archive import PushArchive

Make = Callable[..., Awaitable[Stage]]


async def flush(stage: Stage) -> None:
    """Lose all data of Redis but the session, and wait until the notifier has found out."""
    session = await stage.sessions.find(await stage.session())
    assert session is not None
    await stage.redis.flushall()
    await stage.sessions.put(session)
    await until(lambda: stage.redis.exists(streams.push(0)), "the stream is made anew")


async def test_what_is_pushed_again_after_a_flush_is_told_once(archived: Stage) -> None:
    async with archived.ws() as client:
        await client.subscribe()
        made = [await archived.custom(each) for each in range(6)]
        cursors = [(await client.receive())["cursor"] for _ in range(6)]
    await caught_up(archived)
    await flush(archived)
    for again in made[2:]:
        await archived.observers[0]([again])
    await archived.custom(6)
    for at in (1, 3, 5):
        async with archived.ws() as client:
            assert (await client.subscribe(since=cursors[at]))["recovered"] is True
            assert await numbers(client, 6) == list(range(at + 1, 7))
    await caught_up(archived)
    await trim(archived)
    for at in (1, 3, 5):
        async with archived.ws() as client:
            assert (await client.subscribe(since=cursors[at]))["recovered"] is True
            await archived.custom(7 + at)
            assert [each for each in await numbers(client, 7 + at) if each < 7] == list(
                range(at + 1, 7)
            )


async def test_a_cursor_of_after_a_flush_is_not_told_again_what_came_before(
    archived: Stage,
) -> None:
    made = [await archived.custom(each) for each in range(4)]
    await caught_up(archived)
    await flush(archived)
    await caught_up(archived)
    cursor = await begin(archived)
    for again in made:
        await archived.observers[0]([again])
    await archived.custom(4)
    async with archived.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        assert number(await client.receive()) == 4


async def test_who_is_live_after_a_flush_is_not_pushed_again_what_came_before_it(
    archived: Stage,
) -> None:
    made = [await archived.custom(each) for each in range(4)]
    await caught_up(archived)
    await flush(archived)
    await caught_up(archived)
    cursor = await begin(archived)
    async with archived.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        await archived.custom(4)
        assert number(await client.receive()) == 4
        for again in made:
            await archived.observers[0]([again])
        await archived.custom(5)
        assert number(await client.receive()) == 5


async def test_what_a_flush_took_before_it_was_copied_is_told_once(make_archived: Make) -> None:
    stage = await make_archived(archive_every=30)
    cursor = await begin(stage)
    made = [await stage.custom(each) for each in range(4)]
    await flush(stage)
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        assert await numbers(client, 3) == list(range(4))
        # The relay publishes again what may not have been handled.
        for again in made:
            await stage.observers[0]([again])
        await stage.custom(4)
        assert number(await client.receive()) == 4


async def test_events_lost_and_their_cursors_gone_may_repeat_but_none_is_missing(
    make_archived: Make,
) -> None:
    stage = await make_archived(archive_every=30)
    async with stage.ws() as client:
        await client.subscribe()
        for each in range(10):
            await stage.custom(each)
        cursors = [(await client.receive())["cursor"] for _ in range(10)]
    await flush(stage)
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursors[4]))["recovered"] is True
        frames = [await client.receive()]
        while number(frames[-1]) != 9:
            frames.append(await client.receive())
        seen = [number(each) for each in frames]
        assert seen[-5:] == [5, 6, 7, 8, 9]
        assert len(set(seen)) == len(seen)
    # A cursor given out meanwhile goes on exactly.
    async with stage.ws() as client:
        assert (await client.subscribe(since=frames[-3]["cursor"]))["recovered"] is True
        assert await numbers(client, 9) == [8, 9]


async def test_a_copy_that_another_notifier_was_first_to_make_is_left_out(
    make_archived: Make,
) -> None:
    stage = await make_archived(archive_every=30)
    assert stage.database is not None
    await caught_up(stage)
    for each in range(50):
        await stage.custom(each)
    archives = [PushArchive(stage.database, stage.redis, shards=1, days=30) for _ in range(4)]

    async def advance(archive: PushArchive) -> int:
        try:
            return (await archive.advance(0)).copied
        except Exception:
            return 0  # it met the other: a write conflict

    copied = await asyncio.gather(*(advance(each) for each in archives))
    await archives[0].advance(0)
    assert sum(copied) in (0, 50)
    rows: list[Any] = []
    async for document in stage.database[PUSHES].find({"entries": {"$exists": True}}):
        rows += document["entries"]
    assert len(rows) == len({row[0] for row in rows}) == 50


async def test_several_notifiers_archive_and_resume_alike(make_archived: Make) -> None:
    stage = await make_archived(push_shards=2)
    await stage.add(push_shards=2)
    cursor = await begin(stage)
    for each in range(40):
        await stage.custom(each, at=each % 2)
    await caught_up(stage)
    await trim(stage)
    for at in (0, 1):
        async with stage.ws(at=at) as client:
            assert (await client.subscribe(since=cursor))["recovered"] is True
            assert await numbers(client, 39) == list(range(40))


async def test_when_who_archives_is_gone_another_goes_on(make_archived: Make) -> None:
    first = await make_archived()
    second = await make_archived()
    await first.custom(0)
    await caught_up(first)
    await first.close()
    cursor = await begin(second)
    await second.custom(1)
    await caught_up(second)
    await trim(second)
    async with second.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        assert await numbers(client, 1) == [1]


@pytest.mark.slow
async def test_random_reconnects_while_the_stream_is_trimmed_see_everything_once(
    make_archived: Make,
) -> None:
    stage = await make_archived()
    await stage.add(push_shards=1)
    total = 1200
    made = [envelope_of("custom.test.counted", {"n": each}) for each in range(total)]
    # Pushing is late, so that much of the log was never pushed when a loss is looked at.
    await stage.log(*made)
    await stage.redis.set(streams.pushed_since(0), 1)  # it has been at work for long
    chance = random.Random(5)
    start = await begin(stage)

    async def publish() -> None:
        async with stage.ws(at=0) as one, stage.ws(at=1) as two:
            await one.subscribe()
            await two.subscribe()
            for at in range(0, total, 20):
                for each in made[at : at + 20]:
                    await stage.observers[0]([each])
                await numbers(one, at + 19)  # what they had not read would be lost to them
                await numbers(two, at + 19)
                await trim(stage, keep=chance.randrange(6))

    async def listen() -> list[int]:
        cursor, seen = start, list[int]()
        while not seen or seen[-1] != total - 1:
            await asyncio.sleep(chance.random() / 10)
            async with stage.ws(at=chance.randrange(2)) as client:
                assert (await client.subscribe(since=cursor))["recovered"] is True
                for _ in range(chance.randrange(1, 300)):
                    frame = await client.receive()
                    seen.append(number(frame))
                    cursor = frame["cursor"]
                    if seen[-1] == total - 1:
                        break
        return seen

    publishing = asyncio.create_task(publish())
    for seen in await asyncio.gather(*(listen() for _ in range(4))):
        assert seen == list(range(total))
    await publishing
