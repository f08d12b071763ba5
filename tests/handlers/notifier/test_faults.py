"""Redis restarts, loses everything, or trims what was not read: sockets live on and are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from notifier_stage import DEADLINE, Server, Stage, until

from bus import streams


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage on a server that only this test uses."""
    server = Server(tmp_path / "valkey")
    await server.start()
    stage = Stage(server)
    await stage.add(push_shards=1)
    yield stage
    await stage.close()
    server.kill()


async def test_a_restart_of_redis_loses_no_event_and_no_socket(own: Stage) -> None:
    async with own.ws() as client, own.sse("org") as stream:
        await client.subscribe()
        await stream.block()
        await own.custom(0)
        assert (await client.receive())["event"]["data"]["n"] == 0
        own.server.kill()
        await own.server.start()
        for number in range(1, 20):
            await own.custom(number)
        seen = [(await client.receive())["event"]["data"]["n"] for _ in range(1, 20)]
        assert seen == list(range(1, 20))
        assert [(await stream.event())[1]["data"]["n"] for _ in range(20)] == list(range(20))


async def test_after_a_flush_sockets_are_reset_and_go_on(own: Stage) -> None:
    async with own.ws() as client:
        await client.subscribe()
        await own.custom(0)
        await client.receive()
        session = await own.sessions.find(await own.session())
        assert session is not None
        await own.redis.flushall()
        await own.sessions.put(session)
        reset = await client.receive()
        assert reset["op"] == "reset"
        await own.custom(1)
        frame = await client.receive()
        assert frame["event"]["data"]["n"] == 1
        await own.custom(2)
    async with own.ws() as client:
        assert (await client.subscribe(since=frame["cursor"]))["recovered"] is True
        assert (await client.receive())["event"]["data"]["n"] == 2


async def test_a_flush_that_is_followed_at_once_by_events_is_found_out(own: Stage) -> None:
    async with own.ws() as client:
        await client.subscribe()
        for number in range(5):
            await own.custom(number)
        for _ in range(5):
            await client.receive()
        session = await own.sessions.find(await own.session())
        assert session is not None
        await own.redis.flushall()
        await own.sessions.put(session)
        await own.custom(5)
        frames = [await client.receive(), await client.receive()]
        assert sorted(frame["op"] for frame in frames) == ["event", "reset"]


async def test_entries_that_were_trimmed_unread_are_told_of(own: Stage) -> None:
    async with own.ws() as client:
        await client.subscribe()
        stream = streams.push(0)
        async with own.redis.pipeline(transaction=True) as pipe:
            for number in range(10):
                pipe.xadd(stream, {"to": "org_1/org", "type": "t", "event": f'{{"n":{number}}}'})
            pipe.xtrim(stream, maxlen=2, approximate=False)
            await pipe.execute()
        ops = [await client.receive() for _ in range(3)]
        assert [each["event"]["n"] for each in ops[:2]] == [8, 9]
        assert ops[2]["op"] == "reset"
        assert ops[2]["cursor"] == ops[1]["cursor"]


async def test_an_entry_that_cannot_be_read_is_skipped(own: Stage) -> None:
    async with own.ws() as client:
        await client.subscribe()
        for fields in ({"x": "y"}, {"to": "org_1/org", "at": "never"}, {"to": b"\xff/org"}):
            await own.redis.xadd(streams.push(0), fields)
        await own.custom(1)
        assert (await client.receive())["event"]["data"]["n"] == 1


async def test_readiness_follows_redis(own: Stage) -> None:
    async def status() -> int:
        async with own.client.get(own.urls[0] + "/ready") as response:
            return response.status

    assert await status() == 200
    own.server.kill()

    async def down() -> bool:
        return await status() == 503

    await asyncio.wait_for(until(down, "it is not ready"), DEADLINE)
    await own.server.start()

    async def up() -> bool:
        return await status() == 200

    await until(up, "it is ready again")


async def test_two_notifiers_both_serve_every_event(own: Stage) -> None:
    await own.add(push_shards=1)
    async with own.ws(at=0) as one, own.ws("usr_2", at=1) as two:
        await one.subscribe()
        await two.subscribe()
        for number in range(50):
            await own.custom(number, at=number % 2)
        first = [await one.receive() for _ in range(50)]
        assert [frame["event"]["data"]["n"] for frame in first] == list(range(50))
        assert [await two.receive() for _ in range(50)] == first
