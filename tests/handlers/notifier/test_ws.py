"""The WebSocket protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from notifier_stage import ORG, USER, Stage, envelope, until

from contracts.asset.events import AssetFailed
from contracts.auth.events import UserUpdated
from contracts.corp.events import BrandCreated, MemberAdded
from contracts.permissions import Role
from infra.tickets import WS_PATH


async def test_an_event_arrives_with_channel_cursor_and_cloudevent(stage: Stage) -> None:
    made = envelope(BrandCreated(brand_id="brd_1", name="Ünïcode"), actor="usr_9")
    async with stage.ws() as client:
        answer = await client.subscribe()
        assert answer["recovered"] is False
        await stage.publish(made)
        frame = await client.receive()
    assert frame["op"] == "event"
    assert frame["channel"] == "org"
    assert frame["cursor"] != answer["cursor"]
    assert frame["event"]["id"] == made.id
    assert frame["event"]["data"] == {"brand_id": "brd_1", "name": "Ünïcode"}
    assert "role" not in frame["event"]


async def test_each_channel_gets_its_own_copy(stage: Stage) -> None:
    failed = AssetFailed(asset_id="ast_1", project_id="prj_1", name="x", code="c", detail="d")
    channels = ["org", "project:prj_1", "asset:ast_1"]
    async with stage.ws() as client:
        for channel in channels:
            await client.subscribe(channel)
        await stage.publish(envelope(failed))
        assert [(await client.receive())["channel"] for _ in channels] == channels


async def test_me_is_private_and_crosses_organizations(stage: Stage) -> None:
    async with stage.ws() as mine, stage.ws("usr_2") as other:
        await mine.subscribe("me")
        await other.subscribe("me")
        await other.subscribe("org")
        await stage.publish(envelope(UserUpdated(user_id=USER, name="n"), org=ORG))
        await stage.publish(envelope(MemberAdded(user_id=USER, role=Role.VIEWER), org="org_2"))
        await stage.custom(1)
        assert (await mine.receive())["event"]["type"] == "auth.user.updated"
        assert (await mine.receive())["event"]["org"] == "org_2"
        assert (await other.receive())["event"]["type"] == "custom.test.counted"


async def test_another_organizations_events_never_arrive(stage: Stage) -> None:
    async with stage.ws(org="org_2") as other:
        await other.subscribe("org")
        await other.subscribe("project:prj_1")
        await stage.custom(1)
        await stage.custom(2, org="org_2")
        assert (await other.receive())["event"]["data"]["n"] == 2


async def test_a_ticket_opens_one_socket(stage: Stage) -> None:
    url = f"{stage.urls[0]}{WS_PATH}?ticket={await stage.ticket()}"
    async with stage.client.ws_connect(url):
        pass
    async with stage.client.get(url, headers=HANDSHAKE) as response:
        assert response.status == 401
        assert response.content_type == "application/problem+json"
        problem = await response.json(content_type=None)
    assert problem["code"] == "realtime.ticket_invalid"
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}


HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.mark.parametrize("query", ["", "?ticket=", "?ticket=x", "?ticket=a&ticket=b"])
async def test_without_a_ticket_there_is_no_socket(stage: Stage, query: str) -> None:
    async with stage.client.get(stage.urls[0] + WS_PATH + query, headers=HANDSHAKE) as response:
        assert response.status == 401


async def test_a_ticket_of_an_ended_session_opens_nothing(stage: Stage) -> None:
    ticket = await stage.ticket()
    await stage.sessions.revoke(await stage.session(), USER)
    url = f"{stage.urls[0]}{WS_PATH}?ticket={ticket}"
    async with stage.client.get(url, headers=HANDSHAKE) as response:
        assert response.status == 401


async def test_a_request_that_is_no_handshake_keeps_its_ticket(stage: Stage) -> None:
    url = f"{stage.urls[0]}{WS_PATH}?ticket={await stage.ticket()}"
    async with stage.client.get(url) as response:
        assert response.status == 400
        assert (await response.json(content_type=None))["code"] == "realtime.upgrade_missing"
    async with stage.client.ws_connect(url):
        pass


async def test_pages_from_elsewhere_may_not_connect(stage: Stage) -> None:
    url = f"{stage.urls[0]}{WS_PATH}?ticket={await stage.ticket()}"
    for origin in ("https://evil.example", "null", "https://app.example.evil.example"):
        headers = {**HANDSHAKE, "Origin": origin}
        async with stage.client.get(url, headers=headers) as response:
            assert response.status == 403
            assert (await response.json(content_type=None))["code"] == "realtime.origin_forbidden"
    async with stage.client.ws_connect(url, headers={"Origin": "https://app.example"}):
        pass
    for own in (stage.settings.gateway_url, stage.settings.notifier_url):
        async with stage.ws(headers={"Origin": own}):
            pass


async def test_an_unauthorised_channel_is_refused_and_the_socket_lives(stage: Stage) -> None:
    stage.denied.add((USER, "project:prj_1"))
    async with stage.ws() as client:
        await client.send(op="subscribe", channel="project:prj_1")
        assert await client.receive() == {
            "op": "error",
            "code": "test.denied",
            "detail": "Not for you.",
            "channel": "project:prj_1",
        }
        await client.subscribe("org")


async def test_a_channel_is_authorised_once(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe("org")
        for number in range(20):
            await stage.custom(number)
        for _ in range(20):
            await client.receive()
    assert stage.asked == [(USER, "org")]


async def test_an_unsubscribed_channel_is_silent(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe("org")
        await client.send(op="unsubscribe", channel="org")
        assert await client.receive() == {"op": "unsubscribed", "channel": "org"}
        await stage.custom(1)
        await client.send(op="ping")
        assert await client.receive() == {"op": "pong"}
        await client.subscribe("org")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "frame_invalid"),
        ("{", "frame_invalid"),
        ("[]", "frame_invalid"),
        ("null", "frame_invalid"),
        ("NaN", "frame_invalid"),
        ("[" * 5000, "frame_invalid"),
        ("{}", "op_unknown"),
        ('{"op":7}', "op_unknown"),
        ('{"op":["subscribe"]}', "op_unknown"),
        ('{"op":"presence","channel":"org"}', "not_subscribed"),
        ('{"op":"presence","channel":"me"}', "presence_unknown"),
        ('{"op":"presence","channel":7}', "frame_invalid"),
        ('{"op":"presence","channel":"org","watch":1}', "frame_invalid"),
        ('{"op":"subscribe"}', "frame_invalid"),
        ('{"op":"subscribe","channel":7}', "frame_invalid"),
        ('{"op":"subscribe","channel":""}', "frame_invalid"),
        ('{"op":"subscribe","channel":"\\ud800"}', "frame_invalid"),
        ('{"op":"subscribe","channel":"a\\u0000"}', "frame_invalid"),
        ('{"op":"subscribe","channel":"org","since":7}', "frame_invalid"),
        ('{"op":"subscribe","channel":"org","since":"x"}', "cursor_invalid"),
        ('{"op":"subscribe","channel":"org","since":""}', "cursor_invalid"),
        ('{"op":"unsubscribe","channel":{}}', "frame_invalid"),
    ],
)
async def test_what_cannot_be_understood_is_answered(stage: Stage, text: str, code: str) -> None:
    async with stage.ws() as client:
        await client.socket.send_str(text)
        answer = await client.receive()
        assert answer["op"] == "error"
        assert answer["code"] == f"realtime.{code}"
        await client.subscribe("org")


async def test_a_binary_frame_is_answered_with_an_error(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.socket.send_bytes(b'{"op":"ping"}')
        assert (await client.receive())["code"] == "realtime.frame_invalid"


async def test_a_channel_is_subscribed_once(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe("org")
        await client.send(op="subscribe", channel="org")
        assert (await client.receive())["code"] == "realtime.already_subscribed"


async def test_subscriptions_are_limited(make_stage: Callable[..., Awaitable[Stage]]) -> None:
    stage = await make_stage(subscriptions=2)
    async with stage.ws() as client:
        await client.subscribe("org")
        await client.subscribe("me")
        await client.send(op="subscribe", channel="project:prj_1")
        assert (await client.receive())["code"] == "realtime.too_many_subscriptions"
        await client.send(op="unsubscribe", channel="me")
        await client.receive()
        await client.subscribe("project:prj_1")


async def test_a_frame_that_is_too_big_ends_the_socket(stage: Stage) -> None:
    async with stage.ws() as client:
        limit = stage.settings.notifier.message_limit
        await client.socket.send_str(json.dumps({"op": "ping", "fill": "x" * (limit - 100)}))
        assert await client.receive() == {"op": "pong"}
        await client.socket.send_str("x" * (limit + 1))
        assert await client.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_flood_ends_the_socket(stage: Stage) -> None:
    async with stage.ws() as client:
        for _ in range(150):
            await client.send(op="ping")
        assert await client.closed() == 4029


async def test_a_flood_of_pings_ends_the_socket(stage: Stage) -> None:
    async with stage.ws(autoping=False) as client:
        for _ in range(150):
            await client.socket.ping()
        code = None
        while code is None:
            message = await client.socket.receive(timeout=10)
            code = message.data if message.type is aiohttp.WSMsgType.CLOSE else None
        assert code == 4029


async def test_pings_of_the_protocol_are_answered(stage: Stage) -> None:
    async with stage.ws(autoping=False) as client:
        await client.socket.ping(b"hello")
        message = await client.socket.receive(timeout=10)
        assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"hello")


async def test_a_client_that_answers_no_ping_is_dropped(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(heartbeat=0.2)
    async with stage.ws(autoping=False) as client:
        kinds: list[Any] = []
        while not client.socket.closed and len(kinds) < 10:
            kinds.append((await client.socket.receive(timeout=10)).type)
        assert kinds[0] is aiohttp.WSMsgType.PING
        assert client.socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_a_client_that_answers_pings_stays(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(heartbeat=0.2)
    async with stage.ws() as client:
        await client.subscribe("org")
        later = asyncio.get_running_loop().call_later(
            1.0, lambda: asyncio.ensure_future(stage.custom(1))
        )
        assert (await client.receive())["op"] == "event"
        assert later.cancelled() is False


async def test_a_stopping_notifier_says_goodbye(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage()
    ticket = await stage.ticket()
    async with aiohttp.ClientSession() as outside:
        url = f"{stage.urls[0]}{WS_PATH}?ticket={ticket}"
        async with outside.ws_connect(url) as socket:
            closing = asyncio.create_task(stage.close())
            message = await socket.receive(timeout=10)
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert message.data == 1001
            await closing


async def test_sockets_and_subscriptions_are_counted_down_again(stage: Stage) -> None:
    async def value(name: str) -> float:
        async with stage.client.get(stage.urls[0] + "/metrics") as response:
            lines = (await response.text()).splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name))

    before = await value('grid8_realtime_sockets{transport="ws"}')
    async with stage.ws() as client:
        await client.subscribe("org")
        assert await value('grid8_realtime_sockets{transport="ws"}') == before + 1
        assert await value("grid8_realtime_subscriptions") >= 1

    async def as_before() -> bool:
        sockets = await value('grid8_realtime_sockets{transport="ws"}')
        return sockets == before and await value("grid8_realtime_subscriptions") == 0

    await until(as_before, "the socket is forgotten")


async def test_health_readiness_and_unknown_addresses_are_answered(stage: Stage) -> None:
    for path in ("/health", "/ready"):
        async with stage.client.get(stage.urls[0] + path) as response:
            assert response.status == 200
    async with stage.client.get(stage.urls[0] + "/nothing") as response:
        assert response.status == 404
        assert (await response.json(content_type=None))["code"] == "realtime.path_unknown"
    async with stage.client.post(stage.urls[0] + WS_PATH) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET"
