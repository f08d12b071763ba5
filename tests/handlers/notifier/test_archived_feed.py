"""Who has a socket's cursor goes on with it over HTTP when the push stream has moved on."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from archive_stage import WEEK, age, aged, begin, caught_up, number, trim
from notifier_stage import ORG, Stage, envelope, envelope_of, until

from bus import streams
from bus.feed.cursor import CursorExpired
from bus.feed.log import Wanted
from bus.feed.push import read_pushed
from bus.feed.push_log import PushLog
from bus.feed.pushed import route_to_organization
from contracts.auth.events import SessionRevoked
from contracts.types import now

Make = Callable[..., Awaitable[Stage]]


async def page(
    stage: Stage, cursor: str, *, limit: int = 50, org: str = ORG, **wanted: Any
) -> tuple[list[int], str]:
    assert stage.database is not None
    log = PushLog(
        stage.database, stage.redis, shards=1, days=30, route=route_to_organization(shards=1)
    )
    found, end = await read_pushed(
        stage.redis, org, cursor, shards=1, limit=limit, wanted=Wanted(**wanted), log=log
    )
    return [json.loads(each)["data"]["n"] for each in found], end


async def pages(stage: Stage, cursor: str, limit: int) -> list[int]:
    """Everything, page by page."""
    seen: list[int] = []
    while True:
        found, end = await page(stage, cursor, limit=limit)
        if end == cursor:
            return seen
        assert len(found) <= limit
        seen += found
        cursor = end


async def test_pages_go_from_the_archive_into_the_stream(archived: Stage) -> None:
    cursor = await begin(archived)
    for each in range(12):
        await archived.custom(each)
        await archived.custom(100, org="org_2")
    await caught_up(archived)
    await trim(archived, keep=6)
    for limit in (1, 5, 50):
        assert await pages(archived, cursor, limit) == list(range(12))


async def test_pages_go_through_what_was_lost(make_archived: Make) -> None:
    stage = await make_archived(archive_every=30)
    cursor = await begin(stage)
    private = envelope(SessionRevoked(session_id="ses_1", user_id="usr_1", reason="x"))
    for each in range(7):
        await stage.custom(each)
        await stage.publish(private.model_copy(update={"id": f"evt_{each}"}))
    await trim(stage)
    for each in range(7, 9):
        await stage.custom(each)
    for limit in (1, 3, 50):
        assert await pages(stage, cursor, limit) == list(range(9))


async def test_pages_of_what_even_marks_do_not_tell_of_go_on_exactly(make_archived: Make) -> None:
    stage = await make_archived(archive_every=30)
    cursor = await begin(stage)
    for each in range(7):
        await stage.custom(each)
    await trim(stage)
    marks = [each async for each in stage.redis.scan_iter("grid8:pushed:*")]
    await stage.redis.delete(*marks)
    await stage.custom(7)
    for limit in (1, 3, 50):
        assert await pages(stage, cursor, limit) == list(range(8))


async def test_a_socket_goes_on_where_a_page_ended_in_what_was_lost(make_archived: Make) -> None:
    stage = await make_archived(archive_every=30)
    cursor = await begin(stage)
    for each in range(5):
        await stage.custom(each)
    await trim(stage)
    await stage.redis.delete(*[each async for each in stage.redis.scan_iter("grid8:pushed:*")])
    found, cursor = await page(stage, cursor, limit=2)
    assert found == [0, 1]
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        await stage.custom(5)
        assert [number(await client.receive()) for _ in range(4)] == [2, 3, 4, 5]


async def test_pages_behind_a_flush_do_not_repeat_what_came_before_it(archived: Stage) -> None:
    cursor = await begin(archived)
    made = [await archived.custom(each) for each in range(4)]
    await caught_up(archived)
    await archived.redis.flushall()
    await until(lambda: archived.redis.exists(streams.push(0)), "the push stream is begun anew")
    await caught_up(archived)
    for each in (0, 2):
        await archived.observers[0](made[each : each + 2])
        await archived.custom(4 + each // 2)
    for limit in (1, 3, 50):
        assert await pages(archived, cursor, limit) == list(range(6))


async def test_a_week_later_filters_choose_from_the_archive(archived: Stage) -> None:
    cursor = await begin(archived)
    await archived.custom(0)
    await archived.publish(envelope_of("custom.test.other", {"n": 1}, subject="s"))
    await caught_up(archived)
    await trim(archived)
    await age(archived, WEEK)
    cursor = aged(cursor, WEEK)
    assert (await page(archived, cursor))[0] == [0, 1]
    assert (await page(archived, cursor, type="custom.test.other"))[0] == [1]
    assert (await page(archived, cursor, subject="s"))[0] == [1]
    assert (await page(archived, cursor, since=now() - timedelta(days=1)))[0] == []
    assert (await page(archived, cursor, org="org_2"))[0] == []


async def test_what_is_past_retention_has_expired(archived: Stage) -> None:
    cursor = await begin(archived)
    await archived.custom(0)
    await caught_up(archived)
    for other in (aged(cursor, 31 * 86_400_000), "g1.0-9-9", f"g1.0-{2**62}-0"):
        with pytest.raises(CursorExpired):
            await page(archived, other)
