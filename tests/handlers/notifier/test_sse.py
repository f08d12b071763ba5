"""The event stream, by the rules of the WHATWG standard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from notifier_stage import ORG, USER, SseClient, Stage, envelope, envelope_of

from contracts.asset.events import AssetDeleted, AssetFailed
from contracts.auth.events import UserUpdated
from contracts.corp.events import MemberChanged
from contracts.permissions import Role
from infra.tickets import SSE_PATH


async def opened(client: SseClient) -> SseClient:
    """Read the first block, which has no data."""
    assert client.response.status == 200, await client.response.text()
    fields = await client.block()
    assert "data" not in fields
    return client


async def test_an_event_has_id_type_and_one_line_of_data(stage: Stage) -> None:
    async with stage.sse("org") as client:
        assert client.response.content_type == "text/event-stream"
        assert client.response.charset == "utf-8"
        assert client.response.headers["Cache-Control"] == "no-store"
        assert client.response.headers["X-Accel-Buffering"] == "no"
        await opened(client)
        assert client.retry is not None
        assert client.comments
        before = client.last_id
        assert before
        made = envelope_of("custom.text", {"text": "two\nlines\r\n: and\u2028more"})
        await stage.publish(made)
        kind, data = await client.event()
        assert kind == "custom.text"
        assert data["id"] == made.id
        assert data["data"]["text"] == "two\nlines\r\n: and\u2028more"
        assert client.last_id != before


async def test_last_event_id_resumes(stage: Stage) -> None:
    async with stage.sse("org") as client:
        await opened(client)
        await stage.custom(0)
        await client.event()
    for number in range(1, 4):
        await stage.custom(number)
    for away in ({"Last_Event_ID": client.last_id}, {"since": client.last_id}):
        async with stage.sse("org", **away) as again:
            await opened(again)
            assert [(await again.event())[1]["data"]["n"] for _ in range(3)] == [1, 2, 3]


async def test_the_browsers_header_wins_over_the_address(stage: Stage) -> None:
    async with stage.sse("org") as client:
        await opened(client)
        first = client.last_id
        await stage.custom(0)
        await client.event()
    await stage.custom(1)
    async with stage.sse("org", since=first, Last_Event_ID=client.last_id) as again:
        await opened(again)
        assert (await again.event())[1]["data"]["n"] == 1


async def test_one_cursor_covers_channels_of_two_streams(stage: Stage) -> None:
    assert stage.stream(ORG) != stage.stream(USER)
    async with stage.sse("org", "me") as client:
        await opened(client)
        await stage.custom(0)
        await client.event()
        await stage.publish(envelope(UserUpdated(user_id=USER, name="a"), org=None))
        await client.event()
    await stage.custom(1)
    await stage.publish(envelope(UserUpdated(user_id=USER, name="b"), org=None))
    async with stage.sse("org", "me", since=client.last_id) as again:
        await opened(again)
        events = [(await again.event())[1]["data"] for _ in range(2)]
        assert {"n": 1, "fill": ""} in events
        assert {"user_id": USER, "name": "b"} in events
        await stage.custom(2)
        assert (await again.event())[1]["data"]["n"] == 2
    async with stage.sse("org", "me", since=again.last_id) as third:
        await opened(third)
        await stage.custom(3)
        assert (await third.event())[1]["data"]["n"] == 3


async def test_an_event_on_several_channels_comes_once(stage: Stage) -> None:
    failed = AssetFailed(asset_id="ast_1", project_id="prj_1", name="x", code="c", detail="d")
    channels = ("org", "project:prj_1", "asset:ast_1", "me")
    async with stage.sse(*channels) as client:
        await opened(client)
        start = client.last_id
        await stage.publish(envelope(failed))
        await stage.publish(envelope(MemberChanged(user_id=USER, role=Role.VIEWER)))
        await stage.custom(1)
        live = {(await client.event())[0] for _ in range(3)}
    assert live == {"asset.asset.failed", "corp.member.changed", "custom.test.counted"}
    async with stage.sse(*channels, since=start) as again:
        await opened(again)
        kinds = [(await again.event())[0] for _ in range(3)]
        await stage.custom(2)
        assert set(kinds) == live
        assert (await again.event())[1]["data"]["n"] == 2


async def test_websocket_and_sse_share_cursors(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe()
        await stage.custom(0)
        cursor = (await client.receive())["cursor"]
    await stage.custom(1)
    async with stage.sse("org", since=cursor) as stream:
        await opened(stream)
        assert (await stream.event())[1]["data"]["n"] == 1
    await stage.custom(2)
    async with stage.ws() as client:
        assert (await client.subscribe(since=stream.last_id))["recovered"] is True
        assert (await client.receive())["event"]["data"]["n"] == 2


async def test_a_trimmed_cursor_is_reset_and_the_next_one_is_good(stage: Stage) -> None:
    async with stage.sse("org", "me") as client:
        await opened(client)
        cursor = client.last_id
    for number in range(4):
        await stage.custom(number)
    await stage.redis.xtrim(stage.stream(), maxlen=2, approximate=False)
    async with stage.sse("org", "me", since=cursor) as client:
        await opened(client)
        assert await client.event() == (
            "reset",
            {"channel": "org", "snapshot": "/v1/orgs/org_1"},
        )
        await stage.custom(4)
        assert (await client.event())[1]["data"]["n"] == 4
    async with stage.sse("org", "me", since=client.last_id) as client:
        await opened(client)
        await stage.custom(5)
        assert (await client.event())[1]["data"]["n"] == 5


async def test_a_quiet_stream_keeps_its_cursor_fresh(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(heartbeat=0.2, push_shards=1)
    async with stage.sse("org") as client:
        await opened(client)
        await stage.custom(0, org="org_2")
        start = client.last_id
        while client.last_id == start:
            assert "data" not in await client.block()
        assert "heartbeat" in client.comments
    await stage.redis.xtrim(stage.stream(), maxlen=1, approximate=False)
    await stage.custom(1)
    async with stage.sse("org", since=client.last_id) as client:
        await opened(client)
        assert (await client.event())[1]["data"]["n"] == 1


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"channel": "org"}, 401, "realtime.ticket_invalid"),
        ({"ticket": "+"}, 400, "realtime.channel_missing"),
        ({"ticket": "+", "channel": ""}, 400, "realtime.frame_invalid"),
        ({"ticket": "+", "channel": "project:secret"}, 404, "test.denied"),
        ({"ticket": "+", "channel": "org", "since": "x"}, 400, "realtime.cursor_invalid"),
    ],
)
async def test_a_stream_that_cannot_begin_is_a_problem(
    stage: Stage, query: dict[str, str], status: int, code: str
) -> None:
    stage.denied.add((USER, "project:secret"))
    if "ticket" in query:
        query = {**query, "ticket": await stage.ticket()}
    async with stage.client.get(
        stage.urls[0] + SSE_PATH, params=query, headers={"X-Request-Id": "abc"}
    ) as response:
        problem = await response.json(content_type="application/problem+json")
        assert (response.status, problem["status"], problem["code"]) == (status, status, code)
        assert problem["request_id"] == response.headers["X-Request-Id"] == "abc"
        assert problem["type"] == f"/problems/{code}"


async def test_one_denied_channel_among_several_begins_nothing(stage: Stage) -> None:
    stage.denied.add((USER, "project:secret"))
    async with stage.sse("org", "project:secret") as client:
        assert client.response.status == 404


async def test_channels_of_one_stream_are_limited(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(subscriptions=2)
    async with stage.sse("org", "me", "project:prj_1") as client:
        assert client.response.status == 429


async def test_a_ticket_begins_one_stream(stage: Stage) -> None:
    params = {"ticket": await stage.ticket(), "channel": "org"}
    async with stage.client.get(stage.urls[0] + SSE_PATH, params=params) as response:
        assert response.status == 200
    async with stage.client.get(stage.urls[0] + SSE_PATH, params=params) as response:
        assert response.status == 401


async def test_pages_of_allowed_origins_may_read(stage: Stage) -> None:
    for origin in ("https://app.example", stage.settings.gateway_url):
        async with stage.sse("org", Origin=origin) as client:
            await opened(client)
            assert client.response.headers["Access-Control-Allow-Origin"] == origin
            assert "Origin" in client.response.headers["Vary"]
        async with stage.client.options(
            stage.urls[0] + SSE_PATH,
            headers={"Origin": origin, "Access-Control-Request-Method": "GET"},
        ) as response:
            assert response.status == 204
            assert "Last-Event-ID" in response.headers["Access-Control-Allow-Headers"]
    async with stage.sse("org", Origin="https://evil.example") as client:
        assert client.response.status == 403
        assert "Access-Control-Allow-Origin" not in client.response.headers


async def test_a_refused_page_of_an_allowed_origin_can_read_why(stage: Stage) -> None:
    async with stage.client.get(
        stage.urls[0] + SSE_PATH, headers={"Origin": "https://app.example"}
    ) as response:
        assert response.status == 401
        assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"


async def test_a_channel_that_goes_is_told_and_the_last_one_ends_the_stream(
    stage: Stage,
) -> None:
    async with stage.sse("asset:ast_1") as client:
        await opened(client)
        await stage.publish(envelope(AssetDeleted(asset_id="ast_1")))
        assert (await client.event())[0] == "asset.asset.deleted"
        kind, data = await client.event()
        assert (kind, data["code"]) == ("unsubscribed", "realtime.channel_gone")
        assert (await client.event())[0] == "close"
        with pytest.raises(EOFError):
            await client.block()


async def test_a_stopping_notifier_ends_the_stream(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage()
    params = {"ticket": await stage.ticket(), "channel": "org"}
    async with (
        aiohttp.ClientSession() as outside,
        outside.get(stage.urls[0] + SSE_PATH, params=params) as response,
    ):
        client = await opened(SseClient(response))
        closing = asyncio.create_task(stage.close())
        kind, data = await client.event()
        assert (kind, data["code"]) == ("close", 1001)
        with pytest.raises(EOFError):
            await client.block()
        await closing
