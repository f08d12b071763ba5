"""Events enter the push streams exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from notifier_stage import Stage, envelope, envelope_of

from bus import streams
from contracts.auth.events import SessionRevoked
from contracts.corp.events import BrandCreated, MemberChanged
from contracts.permissions import Role


async def entries(stage: Stage, id: str) -> list[bytes]:
    """The addresses of an event's entries in all push streams."""
    found = []
    for shard in range(stage.settings.notifier.push_shards):
        for _, fields in await stage.redis.xrange(streams.push(shard)):
            if fields.get(b"id") == id.encode():
                found.append(fields[b"to"])
    return sorted(found)


async def test_an_event_delivered_again_is_pushed_once(stage: Stage) -> None:
    made = envelope(BrandCreated(brand_id="brd_1", name="x"))
    await asyncio.gather(*(stage.publish(made) for _ in range(20)))
    await stage.publish(made)
    assert await entries(stage, made.id) == [b"org_1/org"]


async def test_two_notifiers_that_get_the_same_event_push_it_once(stage: Stage) -> None:
    await stage.add()
    made = envelope(BrandCreated(brand_id="brd_1", name="x"))
    await asyncio.gather(stage.publish(made, at=0), stage.publish(made, at=1))
    assert await entries(stage, made.id) == [b"org_1/org"]


async def test_a_members_event_is_pushed_once_to_each_audience(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(push_shards=1)
    made = envelope(MemberChanged(user_id="usr_5", role=Role.VIEWER))
    for _ in range(3):
        await stage.publish(made)
    assert await entries(stage, made.id) == [b"org_1/org", b"usr_5/me"]


async def test_the_mark_of_a_pushed_event_expires(stage: Stage) -> None:
    made = envelope(SessionRevoked(session_id="ses_1", user_id="usr_1", reason="x"), org=None)
    await stage.publish(made)
    (mark,) = [key for key in await stage.redis.keys("grid8:pushed:*") if made.id.encode() in key]
    assert 3500 < await stage.redis.ttl(mark) <= 3600


async def test_push_streams_stay_about_as_long_as_they_should(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(push_length=200, push_shards=1)
    await asyncio.gather(*(stage.custom(number) for number in range(1000)))
    assert 200 <= await stage.redis.xlen(streams.push(0)) <= 400


async def test_an_event_for_nobody_is_not_pushed(stage: Stage) -> None:
    made = envelope_of("custom.x.y", {}, org=None)
    await stage.publish(made)
    assert await entries(stage, made.id) == []


async def test_events_of_one_task_are_pushed_in_its_order(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe()
        await asyncio.gather(*(stage.custom(number) for number in range(300)))
        seen = [(await client.receive())["event"]["data"]["n"] for _ in range(300)]
    assert seen == list(range(300))
