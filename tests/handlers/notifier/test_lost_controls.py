"""What a user may no longer see ends within five seconds also when the event that says so is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from notifier_stage import ORG, USER, Stage, until

from contracts.actor import Actor

Make = Callable[..., Awaitable[Stage]]


@asynccontextmanager
async def within_five_seconds() -> AsyncIterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 5


async def test_a_membership_whose_end_nobody_told_ends_all_sockets_at_every_notifier(
    stage: Stage,
) -> None:
    await stage.add()
    async with (
        stage.ws(at=0) as one,
        stage.ws(at=1) as two,
        stage.sse("org", at=1) as stream,
        stage.ws("usr_2", at=1) as other,
    ):
        await one.subscribe()
        await two.subscribe("me")
        await other.subscribe()
        await stream.block()
        stage.denied.add((USER, "org"))
        async with within_five_seconds():
            assert await one.closed() == 4003
            assert await two.closed() == 4003
            assert (await stream.event())[1]["code"] == 4003
        await other.send(op="ping")
        assert await other.receive() == {"op": "pong"}


async def test_a_role_whose_change_nobody_told_drops_what_it_no_longer_allows(
    stage: Stage,
) -> None:
    await stage.add()
    channel = "project:prj_1"
    async with stage.ws(at=0) as one, stage.ws(at=1) as two:
        for client in (one, two):
            await client.subscribe("org")
            await client.subscribe(channel)
        await looked(stage)
        stage.denied.add((USER, channel))
        async with within_five_seconds():
            for client in (one, two):
                ended = await client.receive()
                assert (ended["op"], ended["channel"]) == ("unsubscribed", channel)
                assert ended["code"] == "test.denied"
        await stage.custom(1)
        assert (await one.receive())["channel"] == "org"
        assert (await two.receive())["channel"] == "org"


async def test_a_role_that_changes_before_it_was_ever_looked_at_is_found_too(
    stage: Stage,
) -> None:
    async with stage.ws() as client:
        await client.subscribe("project:prj_1")
        stage.denied.add((USER, "project:prj_1"))
        async with within_five_seconds():
            assert (await client.receive())["op"] == "unsubscribed"


async def test_an_event_taken_out_of_the_push_stream_is_missed_by_nobody(make_stage: Make) -> None:
    """As a trimmed or failed-over stream loses it: written, and gone before it is read."""
    stage = await make_stage()
    await stage.add()
    channel = "project:prj_1"
    async with stage.ws(at=0) as one, stage.ws(at=1) as two:
        for client in (one, two):
            await client.subscribe(channel)
        lost = {"to": f"{USER}/me", "control": f"role {USER} {ORG}", "id": "evt_1", "event": "{}"}
        async with stage.redis.pipeline(transaction=True) as pipe:
            pipe.xadd(stage.stream(USER), lost)
            pipe.xtrim(stage.stream(USER), maxlen=0, approximate=False)
            await pipe.execute()
        stage.denied.add((USER, channel))
        async with within_five_seconds():
            for client in (one, two):
                while (await client.receive())["op"] != "unsubscribed":
                    pass


async def looked(stage: Stage) -> None:
    """Wait until each notifier has asked for the rights that hold now."""
    asked = stage.looks

    def again() -> bool:
        return stage.looks >= asked + len(stage.urls)

    await until(again, "rights are looked at")


async def test_rights_are_asked_for_once_for_all_sockets_of_a_user(stage: Stage) -> None:
    async with stage.ws() as one, stage.ws() as two, stage.ws() as three:
        for client in (one, two, three):
            await client.subscribe()
        await looked(stage)
        before = stage.looks
        await looked(stage)
        assert stage.looks == before + 1


async def test_while_nobody_can_say_what_somebody_may_sockets_stay(make_stage: Make) -> None:
    stage = await make_stage()
    asked = asyncio.Event()

    async def broken(actor: Actor) -> frozenset[str] | None:
        asked.set()
        raise RuntimeError("the database is away")

    stage.rights = broken  # type: ignore[method-assign]
    await stage.add()
    async with stage.ws(at=1) as client:
        await client.subscribe()
        await asyncio.wait_for(asked.wait(), 10)
        await client.send(op="ping")
        assert await client.receive() == {"op": "pong"}
