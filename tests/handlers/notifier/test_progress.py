"""Progress: told at once to who listens, kept nowhere, and never in the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from notifier_stage import ORG, Stage, until
from redis.asyncio import Redis

from bus import streams
from bus.broker import connect
from bus.progress import Progress


def progress(stage: Stage, *, org: str = ORG, redis: Redis | None = None) -> Progress:
    return Progress(
        redis or stage.redis,
        work="asset.processing",
        subject="ast_1",
        org=org,
        channel="asset:ast_1",
    )


async def listening(stage: Stage, notifiers: int = 1) -> None:
    async def heard() -> bool:
        [(_, count)] = await stage.redis.pubsub_numsub(streams.PROGRESS)
        return bool(count == notifiers)

    await until(heard, "notifiers listen for progress")


async def test_progress_is_told_on_the_channel_it_is_about_and_has_no_cursor(stage: Stage) -> None:
    await listening(stage)
    async with stage.ws() as mine, stage.ws() as other:
        await mine.subscribe("asset:ast_1")
        await other.subscribe("org")
        await progress(stage).tell("rendering", 2, 6)
        await stage.custom(1)
        frame = await mine.receive()
        assert (await other.receive())["op"] == "event"
    at = frame["progress"].pop("at")
    assert at.endswith("Z")
    assert frame == {
        "op": "progress",
        "channel": "asset:ast_1",
        "progress": {
            "work": "asset.processing",
            "subject": "ast_1",
            "stage": "rendering",
            "done": 2,
            "total": 6,
            "unit": "steps",
        },
    }


async def test_an_event_stream_tells_it_without_moving_its_cursor(stage: Stage) -> None:
    await listening(stage)
    async with stage.sse("asset:ast_1") as client:
        await client.block()
        cursor = client.last_id
        await progress(stage).tell("storing", 10, 20, unit="bytes")
        name, data = await client.event()
        assert (name, data["channel"], data["progress"]["done"]) == ("progress", "asset:ast_1", 10)
        assert client.last_id == cursor


async def test_another_organization_is_told_nothing_of_it(stage: Stage) -> None:
    await listening(stage)
    async with stage.ws(org="org_2") as other:
        await other.subscribe("asset:ast_1")
        await progress(stage).tell("rendering", 1, 2)
        await progress(stage, org="org_2").tell("rendering", 2, 2)
        assert (await other.receive())["progress"]["done"] == 2


async def test_what_comes_too_fast_is_left_out_but_the_first_and_the_last_of_a_step_are_told(
    stage: Stage,
) -> None:
    await listening(stage)
    async with stage.ws() as client:
        await client.subscribe("asset:ast_1")
        told = progress(stage)
        for done in range(1001):
            await told.tell("rendering", done, 1000)
        await told.tell("storing", 0, 1)
        seen = []
        while not seen or seen[-1]["stage"] != "storing":
            seen.append((await client.receive())["progress"])
    steps = [each["done"] for each in seen[:-1]]
    assert steps[0] == 0
    assert steps[-1] == 1000
    assert steps == sorted(steps)
    assert len(steps) < 500


async def test_every_notifier_tells_its_own_sockets(stage: Stage) -> None:
    await stage.add()
    await listening(stage, 2)
    async with stage.ws(at=0) as one, stage.ws(at=1) as two:
        for client in (one, two):
            await client.subscribe("asset:ast_1")
        await progress(stage).tell("rendering", 1, 2)
        for client in (one, two):
            assert (await client.receive())["op"] == "progress"


async def test_what_is_no_progress_harms_nobody(stage: Stage) -> None:
    await listening(stage)
    async with stage.ws() as client:
        await client.subscribe("asset:ast_1")
        for body in (b"\xff", b"[]", b'{"to":"org_1/asset:ast_1"}', b'{"to":1,"progress":2}'):
            await stage.redis.publish(streams.PROGRESS, body)
        await progress(stage).tell("rendering", 1, 2)
        assert (await client.receive())["progress"]["stage"] == "rendering"


@pytest.fixture
async def nobody() -> AsyncIterator[Any]:
    redis = connect("redis://127.0.0.1:1/0")
    yield redis
    await redis.aclose()


async def test_work_goes_on_where_nobody_can_be_told(stage: Stage, nobody: Redis) -> None:
    await progress(stage, redis=nobody).tell("rendering", 1, 2)
