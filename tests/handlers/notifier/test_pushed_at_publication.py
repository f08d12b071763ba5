"""Who publishes an event pushes it; the notifiers make good what was not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from notifier_stage import Stage, envelope
from structlog.testing import capture_logs

from bus import streams
from bus.feed.pushing import Pusher
from bus.publisher import Publisher
from contracts.corp.commands import CreateBrand
from contracts.corp.events import BrandCreated, MemberChanged
from contracts.envelope import Envelope
from contracts.permissions import Role
from contracts.types import first_id, now
from handlers.routing import pushes_of


@pytest.fixture
async def alone(make_stage: Callable[..., Awaitable[Stage]]) -> Stage:
    """A notifier with one push stream."""
    return await make_stage(push_shards=1)


def publisher_of(stage: Stage) -> Publisher:
    return Publisher(stage.redis, pushes=pushes_of(stage.settings))


def brand(number: int) -> Envelope:
    return envelope(BrandCreated(brand_id=f"brd_{number}", name="x"))


async def pushed(stage: Stage) -> list[str]:
    """The ids of what is in the push stream, in order."""
    entries = await stage.redis.xrange(streams.push(0))
    return [fields[b"id"].decode() for _, fields in entries if b"id" in fields]


async def test_what_is_published_is_pushed_in_order_and_once(alone: Stage) -> None:
    events = [brand(number) for number in range(300)]
    await publisher_of(alone).publish(events)
    assert await pushed(alone) == [each.id for each in events]
    await publisher_of(alone).publish(events[:5])
    await alone.observers[0](events)
    assert await pushed(alone) == [each.id for each in events]


async def test_a_notifier_pushes_what_its_publisher_has_not(alone: Stage) -> None:
    events = [brand(number) for number in range(6)]
    await publisher_of(alone).publish(events[:3])
    await alone.observers[0](events)
    assert await pushed(alone) == [each.id for each in events]


async def test_of_an_event_that_is_half_pushed_the_rest_is_pushed(alone: Stage) -> None:
    made = envelope(MemberChanged(user_id="usr_5", role=Role.VIEWER))
    await publisher_of(alone).publish([made])
    assert await pushed(alone) == [made.id] * 2
    marks = pushes_of(alone.settings).marks(made)
    await alone.redis.delete(marks[1])
    await alone.publish(made)
    assert await pushed(alone) == [made.id] * 3


async def test_what_cannot_be_pushed_is_published_all_the_same(alone: Stage) -> None:
    made = brand(1)
    await alone.redis.delete(streams.push(0))
    await alone.redis.set(streams.push(0), "no stream")
    with capture_logs() as logs:
        await publisher_of(alone).publish([made])
    assert [each["event"] for each in logs if each["log_level"] == "warning"] == ["pushed_later"]
    assert await alone.redis.xlen(streams.events("corp")) == 1
    await alone.redis.delete(streams.push(0))
    await alone.publish(made)
    assert made.id in await pushed(alone)


async def test_a_command_is_not_pushed(alone: Stage) -> None:
    command = Envelope.of_command(CreateBrand(name="x"), source="/grid8/tests")
    command = command.model_copy(update={"org": "org_1"})
    await publisher_of(alone).publish([command])
    assert await pushed(alone) == []


async def test_what_was_published_long_ago_is_not_pushed_when_no_mark_tells_any_more(
    alone: Stage,
) -> None:
    long_ago = now() - timedelta(hours=2)
    old = brand(1).model_copy(update={"id": first_id("evt", long_ago), "time": long_ago})
    await publisher_of(alone).publish([old])
    await alone.redis.delete(*pushes_of(alone.settings).marks(old))
    await alone.observers[0]([old, brand(2)])
    assert (await pushed(alone))[:-1] == [old.id]
    await Pusher(alone.publisher.pipeline, pushes_of(alone.settings)).push_again([old])
    assert (await pushed(alone)).count(old.id) == 2, "a replay shows it again"
