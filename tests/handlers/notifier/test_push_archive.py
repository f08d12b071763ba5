"""A cursor resumes from the archive where the push stream no longer holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from archive_stage import WEEK, age, aged, begin, caught_up, number, numbers, trim
from notifier_stage import ORG, USER, Stage, envelope, envelope_of

from bus import streams
from bus.feed.archive import PushArchive
from bus.feed.push_cursor import parse_id
from bus.feed.push_log import PushLog
from bus.feed.pushed import Reading, route_to_organization
from bus.streams import address_of
from contracts.auth.events import UserUpdated


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


@pytest.mark.slow
async def test_a_slow_reader_gets_ten_thousand_from_the_archive(
    make_archived: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_archived(queue_limit=16)
    cursor = await begin(stage)
    made = [envelope_of("custom.test.counted", {"n": each}) for each in range(10_000)]
    await stage.log(*made)
    for at in range(0, len(made), 500):
        await stage.observers[0](made[at : at + 500])
    await caught_up(stage)
    await trim(stage)
    async with stage.ws() as client:
        await client.send(op="subscribe", channel="org", since=cursor)
        for each in range(10_000, 10_020):
            await stage.custom(each)
        assert (await client.receive())["recovered"] is True
        assert await numbers(client, 10_019) == list(range(10_020))


@pytest.mark.slow
async def test_events_that_go_on_meanwhile_follow_without_gap(archived: Stage) -> None:
    cursor = await begin(archived)
    made = [envelope_of("custom.test.counted", {"n": each}) for each in range(1000)]
    await archived.log(*made)
    await archived.observers[0](made)
    await caught_up(archived)
    await trim(archived)

    async def go_on() -> None:
        for each in range(1000, 1200):
            await archived.custom(each)
            await asyncio.sleep(0.005)
            if each % 50 == 25:
                await trim(archived, keep=5)

    going = asyncio.create_task(go_on())
    async with archived.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        assert await numbers(client, 1199) == list(range(1200))
    await going


async def test_an_event_stream_on_two_push_streams_resumes_both(
    make_archived: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_archived(push_shards=4)
    assert stage.stream(ORG) != stage.stream(USER)
    async with stage.sse("org", "me") as stream:
        await stream.block()
        await stage.custom(0)
        await stream.event()
        cursor = stream.last_id
    for each in range(1, 5):
        await stage.custom(each)
        await stage.publish(envelope(UserUpdated(user_id=USER, name=f"n{each}"), org=None))
    await caught_up(stage)
    await trim(stage)
    async with stage.sse("org", "me", since=cursor) as stream:
        await stream.block()
        events = [(await stream.event())[1]["data"] for _ in range(8)]
    assert [each["n"] for each in events if "n" in each] == [1, 2, 3, 4]
    assert [each["name"] for each in events if "name" in each] == ["n1", "n2", "n3", "n4"]


async def test_a_user_and_an_organization_on_one_push_stream_keep_their_order(
    archived: Stage,
) -> None:
    async with archived.sse("org", "me") as stream:
        await stream.block()
        cursor = stream.last_id
    for each in range(6):
        if each % 2:
            await archived.custom(each)
        else:
            await archived.publish(envelope(UserUpdated(user_id=USER, name=str(each)), org=None))
    await caught_up(archived)
    await trim(archived)
    async with archived.sse("org", "me", since=cursor) as stream:
        await stream.block()
        events = [(await stream.event())[1]["data"] for _ in range(6)]
    assert [int(each.get("n", each.get("name"))) for each in events] == list(range(6))


async def test_what_was_lost_of_a_user_comes_from_the_event_log(
    make_archived: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_archived(archive_every=30)
    cursor = await begin(stage, "me")
    for name in ("a", "b"):
        await stage.publish(envelope(UserUpdated(user_id=USER, name=name), org=None))
        await stage.publish(envelope(UserUpdated(user_id="usr_2", name="not mine"), org=None))
    await trim(stage)
    async with stage.ws() as client:
        assert (await client.subscribe("me", since=cursor))["recovered"] is True
        await stage.publish(envelope(UserUpdated(user_id=USER, name="c"), org=None))
        names = [(await client.receive())["event"]["data"]["name"] for _ in range(3)]
    assert names == ["a", "b", "c"]


async def test_nobody_resumes_into_what_is_not_theirs(archived: Stage) -> None:
    cursor = await begin(archived)
    await archived.custom(0, org="org_2")
    await archived.custom(1)
    await archived.publish(envelope_of("custom.test.counted", {"n": 2, "project_id": "prj_1"}))
    await archived.publish(envelope_of("custom.test.counted", {"n": 3, "project_id": "prj_2"}))
    await caught_up(archived)
    await trim(archived)
    async with archived.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        assert await numbers(client, 3) == [1, 2, 3]
        assert (await client.subscribe("project:prj_1", since=cursor))["recovered"] is True
        assert [number(await client.receive())] == [2]
        await client.send(op="ping")
        assert (await client.receive())["op"] == "pong"
        archived.denied.add((USER, "project:prj_2"))
        await client.send(op="subscribe", channel="project:prj_2", since=cursor)
        assert (await client.receive())["code"] == "test.denied"


@pytest.mark.parametrize("position", [(9, 9), (0, 0), (2**62, 0), (10**18, 10**18)])
async def test_a_forged_cursor_is_reset_all_the_same(
    archived: Stage, position: tuple[int, int]
) -> None:
    await archived.custom(0)
    await caught_up(archived)
    async with archived.ws() as client:
        answer = await client.subscribe(since=f"g1.0-{position[0]}-{position[1]}")
        assert answer["recovered"] is False
        assert (await client.receive())["op"] == "reset"


async def test_a_cursor_that_names_no_entry_goes_on_behind_its_place(archived: Stage) -> None:
    async with archived.ws() as client:
        await client.subscribe()
        for each in range(4):
            await archived.custom(each)
        cursors = [(await client.receive())["cursor"] for _ in range(4)]
    await caught_up(archived)
    await trim(archived)
    async with archived.ws() as client:
        # The sequence number is one more than any that was.
        between = cursors[1] + "9"
        assert (await client.subscribe(since=between))["recovered"] is True
        assert (await numbers(client, 3))[-1] == 3


async def test_of_large_events_few_are_read_at_once(
    make_archived: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_archived(archive_every=30)
    assert stage.database is not None
    first = await stage.redis.xinfo_stream(stage.stream())
    begin = parse_id(first["last-generated-id"])
    for each in range(48):
        await stage.custom(each, size=256 * 1024)
    end = parse_id((await stage.redis.xinfo_stream(stage.stream()))["last-generated-id"])
    archive = PushArchive(stage.database, stage.redis, shards=1, days=30)
    passes = []
    while passes[-1:] != [0]:
        passes.append((await archive.advance(0)).copied)
    assert sum(passes) >= 48
    assert max(passes) < 48
    reading = Reading(0, {address_of(ORG, "org")})
    log = PushLog(
        stage.database, stage.redis, shards=1, days=30, route=route_to_organization(shards=1)
    )
    sizes = [
        [len(fields[b"event"]) for _, fields in page.entries]
        async for page in log.walk(reading, begin, end)
    ]
    assert sum(map(len, sizes)) == 48
    assert max(map(sum, sizes[1:])) < 3 * 1024 * 1024
