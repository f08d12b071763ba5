"""Who is on a channel is known everywhere, per person, and told to those who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from notifier_stage import USER, Stage, WsClient, envelope
from presence_view import View

from contracts.auth.events import SessionRevoked
from contracts.corp.events import MemberChanged, MemberRemoved
from contracts.permissions import Role

GRACE = 0.6


@pytest.fixture
async def pair(make_stage: Callable[..., Awaitable[Stage]]) -> Stage:
    """Two notifiers, with a short grace."""
    stage = await make_stage(presence_grace=GRACE, presence_batch=0.05)
    await stage.add(presence_grace=GRACE, presence_batch=0.05)
    return stage


async def watching(client: WsClient, channel: str = "org") -> View:
    await client.subscribe(channel)
    view = View(client, channel)
    await view.watch()
    return view


async def quiet(view: View, seconds: float) -> None:
    """Nothing is told for that long."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            raise AssertionError(await view.follow())


async def test_who_asks_is_told_of_all_on_the_channel_at_every_notifier(pair: Stage) -> None:
    async with pair.ws("usr_a", at=0) as a, pair.ws("usr_b", at=1) as b:
        await a.subscribe()
        await b.subscribe()
        view = View(b)
        answer = await view.watch()
        await view.until("usr_a", "usr_b")
        assert answer["total"] == len(answer["members"])
        mine = next(each for each in answer["members"] if each["user"] == "usr_b")
        assert mine["connections"] == 1
        assert mine["since"].endswith("Z")


async def test_joins_and_leaves_are_told_across_notifiers(pair: Stage) -> None:
    async with pair.ws("usr_a", at=0) as a:
        view = await watching(a)
        assert view.people == {"usr_a"}
        async with pair.ws("usr_b", at=1) as b:
            await b.subscribe()
            await view.until("usr_a", "usr_b")
            joined = view.messages[-1]["joined"]
            assert [each["user"] for each in joined] == ["usr_b"]
            assert view.messages[-1]["total"] == 2
        await view.until("usr_a")
        assert view.messages[-1] == {"channel": "org", "left": ["usr_b"], "total": 1}


async def test_unsubscribing_leaves_and_another_channel_is_another_matter(pair: Stage) -> None:
    async with pair.ws("usr_a") as a, pair.ws("usr_b", at=1) as b:
        await b.subscribe("org")
        await b.subscribe("project:prj_1")
        view = await watching(a)
        await view.until("usr_a", "usr_b")
        await b.send(op="unsubscribe", channel="org")
        await view.until("usr_a")
        await a.subscribe("project:prj_1")
        other = View(a, "project:prj_1")
        await other.watch()
        await other.until("usr_a", "usr_b")


async def test_a_person_with_several_connections_joins_once_and_leaves_with_the_last(
    pair: Stage,
) -> None:
    async with pair.ws("usr_a") as a, pair.ws("usr_b", at=0) as first:
        await first.subscribe()
        view = await watching(a)
        await view.until("usr_a", "usr_b")
        async with pair.ws("usr_b", at=1) as second, pair.sse("org", user="usr_b", at=1) as third:
            await second.subscribe()
            await third.block()
            await quiet(view, GRACE)
            await a.send(op="presence", channel="org")
            message = await view.follow()
            [b] = [each for each in message["members"] if each["user"] == "usr_b"]
            assert b["connections"] == 3
        await quiet(view, GRACE * 2)
    async with pair.ws("usr_a") as a:
        view = await watching(a)
        await view.until("usr_a")


async def test_who_comes_back_within_the_grace_has_neither_left_nor_joined(pair: Stage) -> None:
    async with pair.ws("usr_a") as a:
        view = await watching(a)
        for at in (0, 1, 0, 1):
            async with pair.ws("usr_b", at=at) as b:
                await b.subscribe()
                await view.until("usr_a", "usr_b")
        await view.until("usr_a")
        told = [(bool(each.get("joined")), bool(each.get("left"))) for each in view.messages[1:]]
        assert told == [(True, False), (False, True)]


async def test_who_watches_no_longer_is_told_nothing(pair: Stage) -> None:
    async with pair.ws("usr_a") as a, pair.ws("usr_c") as c:
        view, other = await watching(a), await watching(c)
        await view.until("usr_a", "usr_c")
        await a.send(op="presence", channel="org", watch=False)
        assert await a.receive() == {"op": "presence", "channel": "org", "watch": False}
        await other.until("usr_a", "usr_c")
        async with pair.ws("usr_b", at=1) as b:
            await b.subscribe()
            await other.until("usr_a", "usr_b", "usr_c")
            await a.send(op="ping")
            assert await a.receive() == {"op": "pong"}


async def test_presence_may_be_asked_together_with_the_subscription(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.send(op="subscribe", channel="org")
        await client.send(op="presence", channel="org")
        assert (await client.receive())["op"] == "subscribed"
        view = View(client)
        await view.until(USER)
    stage.denied.add((USER, "org"))
    async with stage.ws() as client:
        await client.send(op="subscribe", channel="org")
        await client.send(op="presence", channel="org")
        assert (await client.receive())["code"] == "test.denied"
        await client.send(op="ping")
        assert (await client.receive())["op"] == "pong"


async def test_api_keys_and_admins_in_somebodys_name_are_not_shown(pair: Stage) -> None:
    async with (
        pair.ws("key_1") as key,
        pair.ws("usr_b", impersonator="usr_admin", at=1) as admin,
        pair.ws("usr_a", at=1) as a,
    ):
        view, seen = await watching(key), await watching(admin)
        await a.subscribe()
        await view.until("usr_a")
        await seen.until("usr_a")
        assert "usr_b" not in str(view.messages + seen.messages)


async def test_an_event_stream_is_told_of_presence_it_names(pair: Stage) -> None:
    channels = ("org", "project:prj_1")
    async with pair.sse(*channels, user="usr_a", presence=["org"]) as stream:
        view = View(stream)
        await view.until("usr_a")
        assert view.messages[0]["total"] == 1
        async with pair.ws("usr_b", at=1) as b:
            await b.subscribe()
            await view.until("usr_a", "usr_b")
        await view.until("usr_a")


async def test_an_event_stream_watches_only_channels_it_has(stage: Stage) -> None:
    for presence, channels, code in (
        ("project:prj_1", ("org",), "realtime.not_subscribed"),
        ("me", ("org", "me"), "realtime.presence_unknown"),
    ):
        async with stage.sse(*channels, presence=[presence]) as stream:
            assert stream.response.status in (404, 409)
            assert (await stream.response.json())["code"] == code


async def test_who_has_lost_membership_session_or_role_is_gone_at_once(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    patient = {"presence_grace": 30, "presence_batch": 0.05}
    stage = await make_stage(**patient)
    await stage.add(**patient)
    async with (
        stage.ws("usr_a", at=1) as a,
        stage.ws("usr_b") as b,
        stage.ws("usr_c") as c,
        stage.ws("usr_d") as d,
    ):
        channel = "project:prj_1"
        for client in (b, c, d):
            await client.subscribe(channel)
        view = await watching(a, channel)
        await view.until("usr_a", "usr_b", "usr_c", "usr_d")
        await stage.publish(envelope(MemberRemoved(user_id="usr_b")))
        await view.until("usr_a", "usr_c", "usr_d")
        ended = SessionRevoked(
            session_id=await stage.session("usr_c"), user_id="usr_c", reason="signed_out"
        )
        await stage.publish(envelope(ended, org=None))
        await view.until("usr_a", "usr_d")
        stage.denied.add(("usr_d", channel))
        await stage.publish(envelope(MemberChanged(user_id="usr_d", role=Role.VIEWER)))
        await view.until("usr_a")


async def test_eighty_who_join_at_once_cost_few_messages(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(presence_listed=40)
    await stage.add()
    users = [f"usr_{number}" for number in range(80)]
    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(stage.ws("usr_a"))
        view = await watching(a)
        clients = [
            await stack.enter_async_context(stage.ws(user, at=number % 2))
            for number, user in enumerate(users)
        ]
        await asyncio.gather(*(client.subscribe() for client in clients))
        await view.until("usr_a", *users)
        assert len(view.messages) < 20
        assert all(len(each.get("joined", ())) <= 40 for each in view.messages)
        answer = await view.watch()
        assert (len(answer["members"]), answer["total"]) == (40, 81)


async def test_other_organizations_are_not_seen(pair: Stage) -> None:
    async with pair.ws("usr_a") as a, pair.ws("usr_b", org="org_2", at=1) as b:
        view, other = await watching(a), await watching(b)
        assert (view.people, other.people) == ({"usr_a"}, {"usr_b"})
        async with pair.ws("usr_c", at=1) as c:
            await c.subscribe()
            await view.until("usr_a", "usr_c")
            await quiet(other, GRACE)
