"""The event stream in the WebSocket's words: ``frames=ops``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from notifier_stage import DEADLINE, ORG, USER, SseClient, Stage, envelope
from redis.exceptions import RedisError

from bus import streams
from contracts.asset.events import AssetDeleted, AssetFailed
from contracts.auth.events import SessionRevoked, UserUpdated
from contracts.corp.events import MemberChanged
from contracts.permissions import Role
from infra.tickets import SSE_PATH


class Ops:
    """A stream's messages, each of which is unnamed."""

    def __init__(self, stream: SseClient) -> None:
        self.stream = stream

    @property
    def last_id(self) -> str:
        return self.stream.last_id

    async def next(self, op: str = "") -> dict[str, Any]:
        """The next message; its op is checked."""
        name, message = await self.stream.event()
        assert name == "message"
        assert op in ("", message["op"]), message
        return dict(message)

    async def events(self, count: int) -> list[tuple[str, str]]:
        """The channel and type of that many events."""
        told = [await self.next("event") for _ in range(count)]
        return [(each["channel"], each["event"]["type"]) for each in told]

    async def numbers(self, count: int) -> list[int]:
        return [(await self.next("event"))["event"]["data"]["n"] for _ in range(count)]

    async def over(self) -> None:
        """Nothing more comes."""
        with pytest.raises(EOFError):
            await self.stream.block()


@asynccontextmanager
async def ops(
    stage: Stage, *channels: str, ticket: str = "", presence: tuple[str, ...] = (), **more: str
) -> AsyncIterator[Ops]:
    """Open a stream; ``since`` and ``last_id`` as given, the rest are headers."""
    query = [("ticket", ticket or await stage.ticket()), ("frames", "ops")]
    query += [("channel", each) for each in channels] + [("presence", each) for each in presence]
    headers = {"Accept": "text/event-stream"}
    if "since" in more:
        query.append(("since", more["since"]))
    if "last_id" in more:
        headers["Last-Event-ID"] = more["last_id"]
    url = stage.urls[0] + SSE_PATH
    async with stage.client.get(url, params=query, headers=headers) as response:
        assert response.status == 200, await response.text()
        yield Ops(SseClient(response))


def going_on(stage: Stage, *channels: str, how: str, ticket: str, id: str) -> Any:
    """The same stream again, by its id; or another one, from there."""
    made: AbstractAsyncContextManager[Ops] = (
        ops(stage, *channels, ticket=ticket, last_id=id)
        if how == "last_id"
        else ops(stage, *channels, since=id)
    )
    return made


HOW = pytest.mark.parametrize("how", ["last_id", "since"])
FAILED = AssetFailed(asset_id="ast_1", project_id="prj_1", name="x", code="c", detail="d")


async def test_its_messages_are_those_of_a_websocket(stage: Stage) -> None:
    async with stage.ws() as socket, ops(stage, "org", "asset:ast_1") as stream:
        for channel in ("org", "asset:ast_1"):
            told = await stream.next("subscribed")
            assert told == {
                "op": "subscribed", "channel": channel, "cursor": told["cursor"],
                "recovered": False,
            }  # fmt: skip
            await socket.subscribe(channel)
        assert stream.stream.retry is not None
        await stage.publish(envelope(FAILED))
        await stage.publish(envelope(AssetDeleted(asset_id="ast_1")))
        for _ in range(5):
            assert await stream.next() == await socket.receive()
        assert "~" in stream.last_id


async def test_an_event_comes_once_per_channel_and_its_id_with_the_last(stage: Stage) -> None:
    channels = ("org", "project:prj_1", "asset:ast_1")
    async with ops(stage, *channels) as stream:
        for _ in channels:
            await stream.next("subscribed")
        before = stream.last_id
        await stage.publish(envelope(FAILED))
        ids, told = [], []
        for _ in channels:
            message = await stream.next("event")
            told.append(message)
            ids.append(stream.last_id)
        assert {each["channel"] for each in told} == set(channels)
        assert len({each["cursor"] for each in told}) == 1
        assert ids[:2] == [before, before]
        assert ids[2] != before
        await stage.custom(1)
        assert await stream.numbers(1) == [1]


async def test_a_break_between_the_copies_brings_all_of_them_again(stage: Stage) -> None:
    ticket = await stage.ticket()
    async with ops(stage, "org", "project:prj_1", ticket=ticket) as stream:
        await stream.next("subscribed")
        await stream.next("subscribed")
        await stage.publish(envelope(FAILED))
        first = await stream.next("event")
        id = stream.last_id
    async with ops(stage, "org", "project:prj_1", ticket=ticket, last_id=id) as again:
        await again.next("subscribed")
        await again.next("subscribed")
        copies = [await again.next("event"), await again.next("event")]
        assert first in copies
        assert {each["channel"] for each in copies} == {"org", "project:prj_1"}
        await stage.custom(1)
        assert await again.numbers(1) == [1]


@HOW
async def test_it_goes_on_where_it_was_over_two_push_streams(stage: Stage, how: str) -> None:
    assert stage.stream(ORG) != stage.stream(USER)
    ticket = await stage.ticket()
    async with ops(stage, "org", "me", ticket=ticket) as stream:
        assert {(await stream.next("subscribed"))["channel"] for _ in range(2)} == {"org", "me"}
        await stage.custom(0)
        await stage.publish(envelope(UserUpdated(user_id=USER, name="a"), org=None))
        assert sorted(await stream.events(2)) == [
            ("me", "auth.user.updated"),
            ("org", "custom.test.counted"),
        ]
        id = stream.last_id
    await stage.custom(1)
    await stage.publish(envelope(UserUpdated(user_id=USER, name="b"), org=None))
    async with going_on(stage, "org", "me", how=how, ticket=ticket, id=id) as again:
        told = [await again.next() for _ in range(4)]
        for channel, data in (
            ("org", {"n": 1, "fill": ""}),
            ("me", {"user_id": USER, "name": "b"}),
        ):
            subscribed, event = [each for each in told if each["channel"] == channel]
            assert subscribed["op"] == "subscribed"
            assert subscribed["recovered"] is True
            assert event["event"]["data"] == data
        await stage.custom(2)
        assert await again.numbers(1) == [2]


@HOW
async def test_what_is_on_org_and_me_comes_on_both(stage: Stage, how: str) -> None:
    ticket = await stage.ticket()
    changed = envelope(MemberChanged(user_id=USER, role=Role.VIEWER))
    both = {("org", "corp.member.changed"), ("me", "corp.member.changed")}
    async with ops(stage, "org", "me", ticket=ticket) as stream:
        await stream.next("subscribed")
        await stream.next("subscribed")
        id = stream.last_id
        await stage.publish(changed)
        assert set(await stream.events(2)) == both
    async with going_on(stage, "org", "me", how=how, ticket=ticket, id=id) as again:
        told = [await again.next() for _ in range(4)]
        events = [each for each in told if each["op"] == "event"]
        assert {(each["channel"], each["event"]["type"]) for each in events} == both
        await stage.custom(1)
        assert await again.numbers(1) == [1]


async def test_a_channel_that_the_cursor_says_nothing_of_begins_now(stage: Stage) -> None:
    assert stage.stream(ORG) != stage.stream(USER)
    async with ops(stage, "org") as stream:
        cursor = (await stream.next("subscribed"))["cursor"]
    await stage.custom(1)
    async with ops(stage, "org", "me", since=cursor) as stream:
        told = [await stream.next() for _ in range(3)]
        assert {(each["op"], each["channel"], each.get("recovered")) for each in told} == {
            ("subscribed", "me", False),
            ("subscribed", "org", True),
            ("event", "org", None),
        }


async def test_what_is_lost_is_said_of_each_channel_and_the_next_is_whole(stage: Stage) -> None:
    async with ops(stage, "org", "project:prj_1", "me") as stream:
        for _ in range(3):
            await stream.next("subscribed")
        cursor = stream.last_id
    for number in range(4):
        await stage.custom(number)
    await stage.redis.xtrim(stage.stream(), maxlen=2, approximate=False)
    async with ops(stage, "org", "project:prj_1", "me", since=cursor) as stream:
        told = [await stream.next() for _ in range(5)]
        resets = {each["channel"]: each for each in told if each["op"] == "reset"}
        assert set(resets) == {"org", "project:prj_1"}
        assert resets["org"]["snapshot"] == "/v1/orgs/org_1"
        assert resets["org"]["cursor"].startswith("g")
        recovered = {
            each["channel"]: each["recovered"] for each in told if each["op"] == "subscribed"
        }
        assert recovered == {"org": False, "project:prj_1": False, "me": True}
        cursor = stream.last_id
    await stage.custom(4)
    async with ops(stage, "org", since=cursor) as stream:
        assert (await stream.next("subscribed"))["recovered"] is True
        assert await stream.numbers(1) == [4]


async def test_a_channel_that_is_refused_is_told_and_the_others_go_on(stage: Stage) -> None:
    stage.denied.add((USER, "project:secret"))
    ticket = await stage.ticket()
    async with ops(stage, "org", "project:secret", ticket=ticket, presence=("org",)) as stream:
        refused = {
            "op": "error", "code": "test.denied", "detail": "Not for you.",
            "channel": "project:secret",
        }  # fmt: skip
        assert await stream.next("error") == refused
        assert (await stream.next("subscribed"))["channel"] == "org"
        assert (await stream.next("presence"))["members"][0]["user"] == USER
        await stage.custom(1)
        assert await stream.numbers(1) == [1]
        id = stream.last_id
    async with ops(stage, "org", "project:secret", ticket=ticket, last_id=id) as again:
        assert await again.next("error") == refused
        assert (await again.next("subscribed"))["recovered"] is True


async def test_a_stream_of_which_nothing_is_left_says_why_and_cannot_be_gone_on_with(
    stage: Stage,
) -> None:
    stage.denied |= {(USER, "project:secret"), (USER, "asset:secret")}
    ticket = await stage.ticket()
    channels = ("project:secret", "asset:secret")
    async with ops(stage, *channels, ticket=ticket) as stream:
        assert [(await stream.next("error"))["channel"] for _ in range(2)] == list(channels)
        close = await stream.next("close")
        assert close == {"op": "close", "code": 1000, "reason": "no channel is left"}
        await stream.over()
        id = stream.last_id
    # A browser that comes back all the same is stopped by a status.
    query = [("ticket", ticket), ("frames", "ops"), *(("channel", each) for each in channels)]
    async with stage.client.get(
        stage.urls[0] + SSE_PATH,
        params=query,
        headers={"Last-Event-ID": id, "Accept": "text/event-stream"},
    ) as response:
        assert response.status == 404


async def test_a_channel_that_goes_is_told_and_the_last_one_ends_the_stream(stage: Stage) -> None:
    async with ops(stage, "asset:ast_1") as stream:
        await stream.next("subscribed")
        await stage.publish(envelope(AssetDeleted(asset_id="ast_1")))
        await stream.next("event")
        gone = await stream.next("unsubscribed")
        assert (gone["channel"], gone["code"]) == ("asset:ast_1", "realtime.channel_gone")
        assert gone["detail"]
        assert (await stream.next("close"))["code"] == 1000
        await stream.over()


async def test_presence_and_progress_are_told(stage: Stage) -> None:
    async with ops(stage, "org", "asset:ast_1", presence=("org",)) as stream:
        await stream.next("subscribed")
        await stream.next("subscribed")
        listed = await stream.next("presence")
        assert (listed["channel"], listed["total"]) == ("org", 1)
        async with stage.ws("usr_b") as other:
            await other.subscribe()
            joined = await stream.next("presence")
            assert [each["user"] for each in joined["joined"]] == ["usr_b"]
        progress = {"work": "w", "subject": "ast_1", "stage": "s", "done": 1, "total": 2}
        told = {"to": streams.address_of(ORG, "asset:ast_1"), "progress": progress}
        await stage.redis.publish(streams.PROGRESS, json.dumps(told))
        assert await stream.next("progress") == {
            "op": "progress", "channel": "asset:ast_1", "progress": progress,
        }  # fmt: skip


async def test_its_heartbeat_can_be_heard_and_keeps_the_cursor_fresh(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(heartbeat=0.2, push_shards=1)
    async with ops(stage, "org") as stream:
        await stream.next("subscribed")
        before = stream.last_id
        await stage.custom(0, org="org_2")
        async with asyncio.timeout(DEADLINE):
            while stream.last_id == before:
                assert await stream.next() == {"op": "heartbeat"}


async def test_a_session_that_ends_closes_it_as_a_websocket(stage: Stage) -> None:
    async with ops(stage, "org") as stream:
        await stream.next("subscribed")
        ended = SessionRevoked(session_id=await stage.session(), user_id=USER, reason="signed_out")
        await stage.publish(envelope(ended, org=None))
        close = await stream.next("close")
        assert (close["code"], bool(close["reason"])) == (4001, True)
        await stream.over()


async def test_a_refusal_that_passes_is_a_close_too(stage: Stage) -> None:
    stage.fails_with = RedisError("away")
    async with ops(stage, "org") as stream:
        close = await stream.next("close")
        assert close["code"] == 1013
        assert stream.stream.retry is not None
        await stream.over()


@pytest.mark.parametrize("frames", [["events"], [""], ["ops", "ops"], ["OPS"]])
async def test_other_forms_are_not_known(stage: Stage, frames: list[str]) -> None:
    ticket = await stage.ticket()
    query = [("ticket", ticket), ("channel", "org"), *(("frames", each) for each in frames)]
    url = stage.urls[0] + SSE_PATH
    async with stage.client.get(url, params=query) as response:
        assert response.status == 400
        assert (await response.json())["code"] == "realtime.frames_unknown"
    async with ops(stage, "org", ticket=ticket) as stream:
        await stream.next("subscribed")  # and the ticket was not spent
