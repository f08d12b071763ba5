"""A cursor resumes without gap and without duplicate, on any notifier, or says that it cannot."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from notifier_stage import ORG, USER, Stage, WsClient, envelope, until

from bus.feed.push_cursor import encode
from contracts.auth.events import UserUpdated


def number(frame: dict[str, Any]) -> int:
    assert frame["op"] == "event", frame
    return int(frame["event"]["data"]["n"])


async def numbers(client: WsClient, last: int) -> list[int]:
    """Numbers as they arrive, up to ``last``."""
    seen: list[int] = []
    while not seen or seen[-1] != last:
        seen.append(number(await client.receive()))
    return seen


async def test_what_happened_while_away_is_delivered_before_what_is_live(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe()
        await stage.custom(0)
        cursor = (await client.receive())["cursor"]
    for each in range(1, 10):
        await stage.custom(each)
    async with stage.ws() as client:
        answer = await client.subscribe(since=cursor)
        assert answer["recovered"] is True
        assert answer["cursor"] == cursor
        await stage.custom(10)
        assert await numbers(client, 10) == list(range(1, 11))


async def test_the_cursor_of_a_subscription_resumes_before_any_event(stage: Stage) -> None:
    async with stage.ws() as client:
        cursor = (await client.subscribe())["cursor"]
    await stage.custom(1)
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        assert await numbers(client, 1) == [1]


async def test_random_reconnects_under_load_see_everything_once_and_in_order(
    stage: Stage,
) -> None:
    await stage.add()
    total = 3000
    chance = random.Random(8)

    async def publish() -> None:
        for each in range(total):
            await stage.custom(each)
            if each % 7 == 0:
                await asyncio.sleep(0.001)

    async def listen(cursor: str) -> tuple[list[int], int]:
        seen: list[int] = []
        connections = 0
        while not seen or seen[-1] != total - 1:
            connections += 1
            async with stage.ws(at=chance.randrange(2)) as client:
                answer = await client.subscribe(since=cursor)
                assert answer["recovered"] is True
                for _ in range(chance.randrange(1, 120)):
                    frame = await client.receive()
                    seen.append(number(frame))
                    cursor = frame["cursor"]
                    if seen[-1] == total - 1:
                        break
        return seen, connections

    async with stage.ws() as client:
        start = (await client.subscribe())["cursor"]
    publishing = asyncio.create_task(publish())
    for seen, connections in await asyncio.gather(*(listen(start) for _ in range(8))):
        assert seen == list(range(total))
        assert connections > 10
    await publishing


async def test_many_pages_are_read_back(stage: Stage) -> None:
    async with stage.ws() as client:
        cursor = (await client.subscribe())["cursor"]
    await asyncio.gather(*(stage.custom(each) for each in range(2000)))
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        assert await numbers(client, 1999) == list(range(2000))


async def test_a_cursor_of_one_notifier_resumes_on_another(stage: Stage) -> None:
    await stage.add()
    async with stage.ws(at=0) as one, stage.ws(at=1) as two:
        await one.subscribe()
        await two.subscribe()
        await stage.custom(0, at=0)
        await stage.custom(1, at=1)
        first, second = await one.receive(), await one.receive()
        assert [await two.receive(), await two.receive()] == [first, second]
    async with stage.ws(at=1) as client:
        await client.subscribe(since=first["cursor"])
        assert await client.receive() == second


async def test_a_trimmed_cursor_is_reset_and_goes_on_live(stage: Stage) -> None:
    async with stage.ws() as client:
        cursor = (await client.subscribe())["cursor"]
        for each in range(5):
            await stage.custom(each)
        await numbers(client, 4)
    await stage.redis.xtrim(stage.stream(), maxlen=3, approximate=False)
    async with stage.ws() as client:
        answer = await client.subscribe(since=cursor)
        assert answer["recovered"] is False
        reset = await client.receive()
        assert reset == {
            "op": "reset",
            "channel": "org",
            "cursor": answer["cursor"],
            "snapshot": f"/v1/orgs/{ORG}",
        }
        await stage.custom(5)
        assert await numbers(client, 5) == [5]
    await stage.custom(6)
    async with stage.ws() as client:
        assert (await client.subscribe(since=reset["cursor"]))["recovered"] is True
        assert await numbers(client, 6) == [5, 6]


async def test_a_cursor_is_held_exactly_as_long_as_its_entry(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe()
        for each in range(5):
            await stage.custom(each)
        cursors = [(await client.receive())["cursor"] for _ in range(5)]
    await stage.redis.xtrim(stage.stream(), maxlen=3, approximate=False)
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursors[2]))["recovered"] is True
        assert await numbers(client, 4) == [3, 4]
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursors[1]))["recovered"] is False


async def test_a_cursor_of_a_flushed_stream_is_reset(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe()
        await stage.custom(0)
        cursor = (await client.receive())["cursor"]
    await stage.redis.flushall()
    stage._sessions.clear()
    await stage.custom(1)
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is False


@pytest.mark.parametrize("positions", [{0: (9, 9)}, {0: (2**62, 0)}, {0: (0, 0)}, {1: (1, 1)}])
async def test_a_cursor_that_names_nothing_is_reset(
    make_stage: Callable[..., Awaitable[Stage]], positions: dict[int, tuple[int, int]]
) -> None:
    stage = await make_stage(push_shards=2)
    shift = 0 if stage.stream().endswith("{0}") else 1
    cursor = encode(2, {(shard + shift) % 2: each for shard, each in positions.items()})
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is False
        assert (await client.receive())["op"] == "reset"


async def test_a_cursor_of_another_layout_is_reset(stage: Stage) -> None:
    async with stage.ws() as client:
        cursor = (await client.subscribe())["cursor"]
        await client.send(op="unsubscribe", channel="org")
        await client.receive()
        other = cursor.replace("g4.", "g8.")
        assert (await client.subscribe(since=other))["recovered"] is False


async def test_an_unsubscribe_while_reading_back_ends_it(stage: Stage) -> None:
    async with stage.ws() as client:
        cursor = (await client.subscribe())["cursor"]
    await asyncio.gather(*(stage.custom(each) for each in range(3000)))
    async with stage.ws() as client:
        await client.send(op="subscribe", channel="org", since=cursor)
        await client.send(op="unsubscribe", channel="org")
        while (await client.receive())["op"] != "unsubscribed":
            pass
        await client.send(op="ping")
        assert await client.receive() == {"op": "pong"}


async def test_channels_on_two_streams_resume_each_by_its_own_cursor(stage: Stage) -> None:
    async with stage.ws() as client:
        org = (await client.subscribe("org"))["cursor"]
        me = (await client.subscribe("me"))["cursor"]
    await stage.custom(1)
    await stage.publish(envelope(UserUpdated(user_id=USER, name="n"), org=None))
    async with stage.ws() as client:
        assert (await client.subscribe("org", since=org))["recovered"]
        assert (await client.receive())["event"]["data"]["n"] == 1
        assert (await client.subscribe("me", since=me))["recovered"]
        assert (await client.receive())["event"]["type"] == "auth.user.updated"


async def test_a_slow_client_reads_back_at_its_own_speed(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(queue_limit=16)
    async with stage.ws() as client:
        cursor = (await client.subscribe())["cursor"]
    await asyncio.gather(*(stage.custom(each, size=20_000) for each in range(600)))
    async with stage.ws() as client, stage.ws("usr_2") as other:
        await other.subscribe()
        await client.send(op="subscribe", channel="org", since=cursor)
        # Nobody reads the twelve megabytes for now, and others are served all the same.
        for each in range(600, 605):
            await stage.custom(each)
        assert await numbers(other, 604) == list(range(600, 605))
        assert (await client.receive())["recovered"] is True
        assert await numbers(client, 604) == list(range(605))


async def test_a_resume_while_redis_is_away_is_refused_and_can_be_tried_again(
    stage: Stage,
) -> None:
    async with stage.ws() as client:
        cursor = (await client.subscribe())["cursor"]
        await stage.custom(1)
        assert await numbers(client, 1) == [1]
        await client.send(op="unsubscribe", channel="org")
        await client.receive()
        stage.server.kill()
        try:
            await client.send(op="subscribe", channel="org", since=cursor)
            answer = await client.receive()
            assert (answer["op"], answer["code"]) == ("error", "realtime.unavailable")
        finally:
            await stage.server.start()

        async def resumed() -> bool:
            await client.send(op="subscribe", channel="org", since=cursor)
            return (await client.receive())["op"] == "subscribed"

        await until(resumed, "the subscription is resumed")
        assert await numbers(client, 1) == [1]
