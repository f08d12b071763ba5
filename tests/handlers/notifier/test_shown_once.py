"""A socket is shown an event once, also when Redis has forgotten that it was pushed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from notifier_stage import Server, Stage, envelope_of

from bus import streams
from handlers.notifier import hub


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage on a server that only this test uses."""
    server = Server(tmp_path / "valkey")
    await server.start()
    stage = Stage(server)
    await stage.add(push_shards=1)
    yield stage
    await stage.close()
    server.kill()


async def forget(stage: Stage) -> None:
    """Lose the marks of what was pushed, as a flush would, and nothing else."""
    marks = [each async for each in stage.redis.scan_iter(streams.pushed(0, "*"))]
    assert marks
    await stage.redis.delete(*marks)


async def test_what_is_pushed_again_is_not_shown_again(own: Stage) -> None:
    async with own.ws() as client:
        await client.subscribe()
        first = await own.custom(1)
        assert (await client.receive())["event"]["id"] == first.id
        await forget(own)
        await own.publish(first)
        second = await own.custom(2)
        assert (await client.receive())["event"]["id"] == second.id


async def test_what_a_cursor_brought_is_not_shown_again(own: Stage) -> None:
    async with own.ws() as client:
        await client.subscribe()
        await own.custom(1)
        cursor = (await client.receive())["cursor"]
    missed = await own.custom(2)
    async with own.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        assert (await client.receive())["event"]["id"] == missed.id
        await forget(own)
        await own.publish(missed)
        last = await own.custom(3)
        assert (await client.receive())["event"]["id"] == last.id


async def test_what_nobody_was_there_to_see_is_shown_when_it_is_pushed_again(own: Stage) -> None:
    lost = await own.custom(1)
    async with own.ws() as client:
        await client.subscribe()
        await forget(own)
        await own.publish(lost)
        assert (await client.receive())["event"]["id"] == lost.id


async def test_a_hub_forgets_the_oldest_it_has_shown(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "REMEMBERED", 2)
    async with own.ws() as client:
        await client.subscribe()
        made = [await own.custom(number) for number in range(3)]
        for each in made:
            assert (await client.receive())["event"]["id"] == each.id
        await forget(own)
        await own.publish(made[2])
        await own.publish(made[0])
        assert (await client.receive())["event"]["id"] == made[0].id


async def test_an_event_for_two_audiences_is_shown_to_both(own: Stage) -> None:
    event = envelope_of(
        "corp.member.changed",
        {"organization_id": "org_1", "user_id": "usr_1", "role": "editor"},
        subject="usr_1",
    )
    async with own.ws() as client:
        await client.subscribe("org")
        await client.subscribe("me")
        await own.publish(event)
        shown = [await client.receive(), await client.receive()]
    assert sorted(frame["channel"] for frame in shown) == ["me", "org"]
