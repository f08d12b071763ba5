"""A browser's EventSource comes back by itself, to the same address, which holds a spent ticket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from notifier_stage import ORG, USER, Server, SseClient, Stage, envelope, until
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.asset.events import AssetDeleted
from contracts.corp.events import MemberChanged
from contracts.permissions import Role
from infra.event_streams import EventStreams
from infra.tickets import SSE_PATH, TicketStore


class Browser:
    """An EventSource: one address for good, and the id it was told last."""

    def __init__(self, stage: Stage, ticket: str, *channels: str) -> None:
        self.stage = stage
        self.ticket = ticket
        self.channels = channels
        self.last_id = ""

    @classmethod
    async def new(cls, stage: Stage, *channels: str) -> Browser:
        return cls(stage, await stage.ticket(), *(channels or ("org",)))

    @asynccontextmanager
    async def connection(self, *, at: int = 0, **headers: str) -> AsyncIterator[SseClient]:
        """Connect, or connect again."""
        if self.last_id:
            headers["Last_Event_ID"] = self.last_id
        async with self.stage.sse(
            *self.channels, ticket=self.ticket, at=at, Accept="text/event-stream", **headers
        ) as client:
            yield client
            self.last_id = client.last_id or self.last_id

    async def refused(self, *, at: int = 0) -> tuple[int, str]:
        """Connect again, and be told no: status and code."""
        async with self.connection(at=at) as client:
            problem = await client.response.json(content_type="application/problem+json")
            return client.response.status, problem["code"]


TICKET_INVALID = (401, "realtime.ticket_invalid")


async def welcomed(client: SseClient) -> SseClient:
    assert client.response.status == 200, await client.response.text()
    await client.block()
    return client


async def test_it_comes_back_again_and_again_and_misses_nothing(stage: Stage) -> None:
    await stage.add()
    browser = await Browser.new(stage)
    secrets, number = set(), 0
    for at in (0, 0, 1, 0, 1):
        async with browser.connection(at=at) as client:
            await welcomed(client)
            if number:
                assert (await client.event())[1]["data"]["n"] == number - 1
            await stage.custom(number)
            assert (await client.event())[1]["data"]["n"] == number
            secrets.add(client.last_id.partition("~")[2])
        await stage.custom(number + 1)
        number += 2
    assert len(secrets) == 1
    assert len(secrets.pop()) >= 16


async def test_it_comes_back_before_its_first_event(stage: Stage) -> None:
    browser = await Browser.new(stage)
    async with browser.connection() as client:
        await welcomed(client)
    await stage.custom(1)
    async with browser.connection() as client:
        assert (await client.event())[1]["data"]["n"] == 1


async def test_a_spent_ticket_is_good_for_nothing_else(stage: Stage) -> None:
    browser, other = await Browser.new(stage, "org", "me"), await Browser.new(stage)
    for each in (browser, other):
        async with each.connection() as client:
            await welcomed(client)
    good, cursor = browser.last_id, browser.last_id.partition("~")[0]
    nearly = good[:-1] + ("B" if good.endswith("A") else "A")
    for id in ("", cursor, f"{cursor}~{'A' * 16}", nearly, good + "A", other.last_id):
        browser.last_id = id
        assert await browser.refused() == TICKET_INVALID, id
    for channels in (("org",), ("me",), ("org", "me", "project:prj_1"), ("org", "asset:me")):
        wrong = Browser(stage, browser.ticket, *channels)
        wrong.last_id = good
        assert await wrong.refused() == TICKET_INVALID, channels
    # Neither as since of the address, nor for a WebSocket.
    async with stage.sse("org", "me", ticket=browser.ticket, since=good) as client:
        assert client.response.status == 401
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await stage.client.ws_connect(f"{stage.urls[0]}/v1/realtime/ws?ticket={browser.ticket}")
    assert refused.value.status == 401
    browser.last_id = good
    async with browser.connection() as client:
        await welcomed(client)


async def test_a_ticket_spent_on_a_websocket_begins_no_stream(stage: Stage) -> None:
    browser = await Browser.new(stage)
    url = f"{stage.urls[0]}/v1/realtime/ws?ticket={browser.ticket}"
    async with stage.client.ws_connect(url):
        assert await browser.refused() == TICKET_INVALID


async def test_what_is_wrong_with_a_request_does_not_spend_its_ticket(stage: Stage) -> None:
    browser = await Browser.new(stage)
    browser.last_id = "nonsense"
    assert await browser.refused() == (400, "realtime.cursor_invalid")
    browser.last_id = ""
    async with browser.connection() as client:
        await welcomed(client)


async def test_its_id_is_a_cursor_wherever_cursors_are_taken(stage: Stage) -> None:
    browser = await Browser.new(stage)
    async with browser.connection() as client:
        await welcomed(client)
        await stage.custom(0)
        await client.event()
    await stage.custom(1)
    async with stage.ws() as socket:
        assert (await socket.subscribe(since=browser.last_id))["recovered"] is True
        assert (await socket.receive())["event"]["data"]["n"] == 1
    async with stage.sse("org", since=browser.last_id) as fresh:
        assert (await fresh.event())[1]["data"]["n"] == 1


@pytest.mark.parametrize("at", [0, 1])
async def test_a_connection_that_only_seems_alive_gives_way(
    make_stage: Callable[..., Awaitable[Stage]], at: int
) -> None:
    stage = await make_stage(heartbeat=0.3)
    await stage.add(heartbeat=0.3)
    browser = await Browser.new(stage)
    async with browser.connection() as before:
        await welcomed(before)
        browser.last_id = before.last_id
        async with browser.connection(at=at) as after:
            await welcomed(after)
            kind, data = await before.event()
            assert (kind, data["code"]) == ("close", 4009)
            with pytest.raises(EOFError):
                await before.block()
            await stage.custom(7)
            assert (await after.event())[1]["data"]["n"] == 7
            for _ in range(3):  # heartbeats: the one that came last is left alone
                assert "data" not in await after.block()


async def test_who_has_no_session_any_more_is_stopped(stage: Stage) -> None:
    browser = await Browser.new(stage)
    async with browser.connection() as client:
        await welcomed(client)
    await stage.sessions.revoke(await stage.session(), USER)
    assert await browser.refused() == TICKET_INVALID


async def test_channels_are_authorised_again(stage: Stage) -> None:
    browser = await Browser.new(stage, "org", "asset:ast_1")
    async with browser.connection() as client:
        await welcomed(client)
        await stage.publish(envelope(AssetDeleted(asset_id="ast_1")))
        assert (await client.event())[0] == "asset.asset.deleted"
        assert (await client.event())[0] == "unsubscribed"
    stage.denied.add((USER, "asset:ast_1"))
    await stage.custom(1)
    async with browser.connection() as client:
        await welcomed(client)
        kind, data = await client.event()
        assert (kind, data["channel"], data["code"]) == (
            "unsubscribed", "asset:ast_1", "test.denied",
        )  # fmt: skip
        assert (await client.event())[1]["data"]["n"] == 1
    stage.denied.add((USER, "org"))
    assert await browser.refused() == (404, "test.denied")


async def test_a_refusal_that_passes_is_a_stream_that_says_to_come_back(stage: Stage) -> None:
    browser = await Browser.new(stage)
    async with browser.connection() as client:
        await welcomed(client)
    await stage.custom(1)
    before = browser.last_id
    for error in (RedisError("away"), PyMongoError("away"), ValueError("a fault of ours")):
        stage.fails_with = error
        async with browser.connection() as client:
            assert client.response.status == 200
            assert client.response.content_type == "text/event-stream"
            kind, data = await client.event()
            assert (kind, data["code"]) == ("close", 1013)
            assert client.retry is not None
            assert client.retry >= 1000
            with pytest.raises(EOFError):
                await client.block()
        assert browser.last_id == before
    async with stage.sse("org") as script:
        assert script.response.status == 500
    stage.fails_with = RedisError("away")
    async with stage.sse("org") as script:
        assert script.response.status == 503
        assert int(script.response.headers["Retry-After"]) > 0
    stage.fails_with = None
    async with browser.connection() as client:
        assert (await client.event())[1]["data"]["n"] == 1


async def test_it_comes_back_when_redis_does(tmp_path: Path) -> None:
    server = Server(tmp_path / "valkey")
    await server.start()
    stage = Stage(server)
    await stage.add()
    browser = await Browser.new(stage)
    async with browser.connection() as client:
        await welcomed(client)
    server.kill()
    async with browser.connection() as client:
        assert client.response.status == 200
        assert (await client.event())[0] == "close"
    await server.start()
    await stage.custom(1)
    async with browser.connection() as client:
        assert (await client.event())[1]["data"]["n"] == 1
    await stage.close()
    server.kill()


async def test_a_stopping_notifier_says_to_come_back(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage()
    query = {"ticket": await stage.ticket(), "channel": "org"}
    late = {"ticket": await stage.ticket(), "channel": "org"}
    async with aiohttp.ClientSession(headers={"Accept": "text/event-stream"}) as http:
        async with http.get(stage.urls[0] + SSE_PATH, params=query) as response:
            client = await welcomed(SseClient(response))
            stage.gate.clear()
            coming = asyncio.create_task(http.get(stage.urls[0] + SSE_PATH, params=late))
            await until(lambda: len(stage.asked) == 2, "the second is being authorised")
            closing = asyncio.create_task(stage.close())
            kind, data = await client.event()
            assert (kind, data["code"]) == ("close", 1001)
        stage.gate.set()
        async with await coming as response:
            assert response.status == 200
            assert (await SseClient(response).event())[0] == "close"
        await closing


async def test_a_stream_outlives_redis_losing_its_data(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(heartbeat=0.2)
    browser = await Browser.new(stage)
    async with browser.connection() as client:
        await welcomed(client)
        (key,) = await stage.redis.keys("grid8:stream:*")
        await stage.redis.delete(key)
        await until(lambda: stage.redis.exists(key), "the stream is kept again")
        assert 86_000 < await stage.redis.ttl(key) <= 86_400
    async with browser.connection() as client:
        await welcomed(client)


async def test_a_stream_is_kept_for_as_long_as_it_lives_and_then_ends_by_itself(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(heartbeat=0.2, reconnect=2)
    browser = await Browser.new(stage)
    async with browser.connection() as client:
        await welcomed(client)
        (key,) = await stage.redis.keys("grid8:stream:*")
        begun = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < begun + 3:
            await client.block()
        assert await stage.redis.exists(key)

    async def over() -> bool:
        return not await stage.redis.exists(key)

    await until(over, "the stream is forgotten")
    assert await browser.refused() == TICKET_INVALID


@pytest.fixture
async def redis(flushed: Server) -> AsyncIterator[Redis]:
    client = Redis.from_url(flushed.url)
    yield client
    await client.aclose()


async def test_redis_never_sees_ticket_or_secret(redis: Redis) -> None:
    ticket, _ = await TicketStore(redis, 60).issue(USER, "ses_1", ORG)
    stream = await EventStreams(redis, 60).begin(ticket, ["org"])
    assert stream is not None
    (key,) = await redis.keys("*")
    held = await redis.hgetall(key)
    kept = key + b"".join(held.keys()) + b"".join(held.values())
    assert ticket[4:].encode() not in kept
    assert stream.secret.encode() not in kept
    ticket_held = {"user": USER, "session": "ses_1", "org": ORG, "impersonator": ""}
    assert json.loads(held[b"ticket"]) == ticket_held
    assert len(kept) < 400


async def test_a_ticket_begins_one_stream_however_many_ask_at_once(redis: Redis) -> None:
    ticket, _ = await TicketStore(redis, 60).issue(USER, "", ORG)
    streams = EventStreams(redis, 60)
    begun = await asyncio.gather(*(streams.begin(ticket, ["org"]) for _ in range(20)))
    assert len([each for each in begun if each is not None]) == 1


async def test_the_last_of_those_who_come_back_at_once_holds_the_stream(redis: Redis) -> None:
    ticket, _ = await TicketStore(redis, 60).issue(USER, "", ORG)
    streams = EventStreams(redis, 60)
    first = await streams.begin(ticket, ["org", "me"])
    assert first is not None
    again = await asyncio.gather(
        *(streams.resume(ticket, ["me", "org"], first.secret) for _ in range(5))
    )
    came = [each for each in again if each is not None]
    assert len(came) == 5
    lost = await streams.keep([first, *came])
    assert len(lost) == 5
    assert first in lost


async def test_what_is_no_ticket_has_no_stream(redis: Redis) -> None:
    streams = EventStreams(redis, 60)
    for text in ("", "x", "g8t_" + "A" * 43, "g8t_" + "é" * 43):
        assert await streams.begin(text, ["org"]) is None
        assert await streams.resume(text, ["org"], "A" * 16) is None


async def test_an_event_of_two_push_streams_comes_once_over_two_connections(stage: Stage) -> None:
    assert stage.stream(ORG) != stage.stream(USER)
    browser = await Browser.new(stage, "org", "me")
    changed = envelope(MemberChanged(user_id=USER, role=Role.VIEWER))
    for number in range(3):
        async with browser.connection() as client:
            await welcomed(client)
            if number:
                assert (await client.event())[1]["data"]["n"] == number
            await stage.publish(changed.model_copy(update={"id": f"evt_{number}"}))
            kind, data = await client.event()
            assert (kind, data["id"]) == ("corp.member.changed", f"evt_{number}")
        await stage.custom(number + 1)
