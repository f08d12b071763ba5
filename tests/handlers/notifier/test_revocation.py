"""What a user may no longer see ends within seconds, told or found out."""

from __future__ import annotations

import asyncio
import time

from notifier_stage import ORG, USER, Stage, envelope

from contracts.asset.events import AssetDeleted
from contracts.auth.events import ApiKeyRevoked, SessionRevoked
from contracts.corp.events import (
    MemberChanged,
    MemberRemoved,
    OrganizationDeleted,
    ProjectDeleted,
)
from contracts.permissions import Role


async def test_a_revoked_session_ends_its_sockets_after_the_event(stage: Stage) -> None:
    session = await stage.session()
    revoked = SessionRevoked(session_id=session, user_id=USER, reason="signed_out")
    async with stage.ws() as mine, stage.ws("usr_2") as other:
        await mine.subscribe("me")
        await other.subscribe("org")
        await stage.publish(envelope(revoked, org=None))
        assert (await mine.receive())["event"]["type"] == "auth.session.revoked"
        assert await mine.closed() == 4001
        await stage.custom(1)
        assert (await other.receive())["op"] == "event"


async def test_another_session_of_the_user_lives_on(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe("org")
        await stage.publish(
            envelope(SessionRevoked(session_id="ses_x", user_id=USER, reason=""), org=None)
        )
        await stage.custom(1)
        assert (await client.receive())["event"]["data"]["n"] == 1


async def test_a_session_whose_end_nobody_told_is_found_within_five_seconds(
    stage: Stage,
) -> None:
    async with stage.ws() as client, stage.sse("org") as stream:
        await client.subscribe("org")
        await stream.block()
        await stage.sessions.revoke(await stage.session(), USER)
        ended = time.monotonic()
        assert await client.closed() == 4001
        assert (await stream.event())[1]["code"] == 4001
        assert time.monotonic() - ended < 5


async def test_a_removed_member_is_told_and_loses_that_organization_only(stage: Stage) -> None:
    async with stage.ws() as client, stage.ws(org="org_2") as elsewhere, stage.ws("usr_2") as other:
        await client.subscribe("org")
        await client.subscribe("me")
        await elsewhere.subscribe("me")
        await other.subscribe("org")
        await stage.publish(envelope(MemberRemoved(user_id=USER)))
        frames, code = await client.rest()
        assert code == 4003
        mine = [frame["event"]["type"] for frame in frames if frame["channel"] == "me"]
        assert mine == ["corp.member.removed"]
        assert (await elsewhere.receive())["event"]["type"] == "corp.member.removed"
        await elsewhere.send(op="ping")
        assert await elsewhere.receive() == {"op": "pong"}
        assert (await other.receive())["event"]["type"] == "corp.member.removed"


async def test_a_changed_role_drops_only_what_it_no_longer_allows(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe("org")
        await client.subscribe("project:prj_1")
        stage.denied.add((USER, "project:prj_1"))
        await stage.publish(envelope(MemberChanged(user_id=USER, role=Role.VIEWER)))
        frames = [await client.receive(), await client.receive()]
        assert [frame["op"] for frame in frames] == ["event", "unsubscribed"]
        assert frames[1]["channel"] == "project:prj_1"
        assert frames[1]["code"] == "test.denied"
        await stage.custom(1)
        assert (await client.receive())["channel"] == "org"


async def test_an_answer_from_before_a_change_of_role_is_void(stage: Stage) -> None:
    asking, answer = asyncio.Event(), asyncio.Event()
    allow = stage.authorise

    async def slow(actor: object, channel: str) -> None:
        if not asking.is_set():
            asking.set()
            await answer.wait()
            return
        await allow(actor, channel)  # type: ignore[arg-type]

    stage.authorise = slow  # type: ignore[method-assign]
    await stage.add()
    async with stage.ws(at=1) as client:
        await client.send(op="subscribe", channel="project:prj_1")
        await asking.wait()
        stage.denied.add((USER, "project:prj_1"))
        async with stage.ws(at=1) as other:
            await other.subscribe("me")
            await stage.publish(envelope(MemberChanged(user_id=USER, role=Role.VIEWER)))
            await other.receive()
        answer.set()
        assert (await client.receive())["code"] == "test.denied"


async def test_a_revoked_api_key_ends_its_sockets_after_the_event(stage: Stage) -> None:
    async with stage.ws("key_1") as mine, stage.ws("key_2") as other:
        await mine.subscribe("org")
        await other.subscribe("org")
        await stage.publish(envelope(ApiKeyRevoked(key_id="key_1")))
        assert (await mine.receive())["event"]["type"] == "auth.api_key.revoked"
        assert await mine.closed() == 4001
        assert (await other.receive())["op"] == "event"
        await other.send(op="ping")
        assert await other.receive() == {"op": "pong"}


async def test_an_api_key_that_ends_by_itself_is_found_within_five_seconds(stage: Stage) -> None:
    async with stage.ws("key_1") as mine, stage.ws("key_2") as other:
        await mine.subscribe("org")
        await other.subscribe("org")
        stage.denied.add(("key_1", "org"))
        ended = time.monotonic()
        assert await mine.closed() == 4001
        assert time.monotonic() - ended < 5
        await other.send(op="ping")
        assert await other.receive() == {"op": "pong"}


async def test_while_nobody_can_say_whether_an_api_key_has_ended_its_socket_stays(
    stage: Stage,
) -> None:
    asked = asyncio.Event()

    async def broken(actor: object, channel: str) -> None:
        if stage.denied:
            asked.set()
            raise RuntimeError("the database is away")

    stage.authorise = broken  # type: ignore[method-assign,assignment]
    await stage.add()
    async with stage.ws("key_1", at=1) as client:
        await client.subscribe("org")
        stage.denied.add(("broken", "now"))
        async with asyncio.timeout(10):
            await asked.wait()
        await client.send(op="ping")
        assert await client.receive() == {"op": "pong"}


async def test_a_deleted_organization_ends_all_its_sockets(stage: Stage) -> None:
    async with stage.ws() as one, stage.ws("usr_2") as two, stage.ws(org="org_2") as three:
        await one.subscribe("org")
        await three.subscribe("org")
        await stage.publish(envelope(OrganizationDeleted(organization_id=ORG)))
        assert (await one.receive())["event"]["type"] == "corp.organization.deleted"
        assert await one.closed() == 4003
        assert await two.closed() == 4003
        await three.send(op="ping")
        assert await three.receive() == {"op": "pong"}


async def test_a_deleted_project_or_asset_ends_its_channel(stage: Stage) -> None:
    for channel, event in (
        ("project:prj_1", ProjectDeleted(project_id="prj_1", brand_id="brd_1")),
        ("asset:ast_1", AssetDeleted(asset_id="ast_1")),
    ):
        async with stage.ws() as client:
            await client.subscribe(channel)
            await stage.publish(envelope(event))
            assert (await client.receive())["op"] == "event"
            ended = await client.receive()
            assert (ended["op"], ended["channel"]) == ("unsubscribed", channel)
            assert ended["code"] == "realtime.channel_gone"


async def test_when_authorisation_cannot_be_asked_the_socket_is_ended(stage: Stage) -> None:
    async def broken(actor: object, channel: str) -> None:
        if channel == "project:prj_1" and stage.denied:
            raise RuntimeError("the database is away")

    stage.authorise = broken  # type: ignore[method-assign,assignment]
    await stage.add()
    async with stage.ws(at=1) as client:
        await client.subscribe("project:prj_1")
        stage.denied.add(("broken", "now"))
        await stage.publish(envelope(MemberChanged(user_id=USER, role=Role.VIEWER)))
        assert await client.closed() == 1013


async def test_a_subscription_that_cannot_be_authorised_is_refused(stage: Stage) -> None:
    async def broken(actor: object, channel: str) -> None:
        raise RuntimeError("the database is away")

    stage.authorise = broken  # type: ignore[method-assign,assignment]
    await stage.add()
    async with stage.ws(at=1) as client:
        await client.send(op="subscribe", channel="org")
        assert (await client.receive())["code"] == "realtime.unavailable"
    async with stage.sse("org", at=1) as stream:
        assert stream.response.status == 500
