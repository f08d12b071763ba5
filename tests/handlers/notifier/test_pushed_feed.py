"""Who has a socket's cursor goes on with it over HTTP, as long as the push stream holds it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from notifier_stage import ORG, Stage, envelope

from bus import streams
from bus.feed.cursor import CursorExpired
from bus.feed.log import Wanted
from bus.feed.push import read_pushed
from bus.feed.push_cursor import encode
from bus.paging import CursorInvalid
from contracts.auth.events import SessionRevoked
from contracts.corp.events import BrandCreated
from contracts.types import now

SHARDS = 4


async def page(
    stage: Stage, cursor: str, *, limit: int = 50, org: str = ORG, **wanted: Any
) -> tuple[list[str], str]:
    found, end = await read_pushed(
        stage.redis, org, cursor, shards=SHARDS, limit=limit, wanted=Wanted(**wanted)
    )
    return [json.loads(each)["id"] for each in found], end


async def begin(stage: Stage) -> str:
    """The cursor of a socket that has just subscribed."""
    async with stage.ws() as client:
        cursor: str = (await client.subscribe())["cursor"]
    return cursor


async def test_a_page_begins_behind_the_cursor_and_ends_with_one(stage: Stage) -> None:
    cursor = await begin(stage)
    ids = [(await stage.custom(number)).id for number in range(5)]
    first, cursor = await page(stage, cursor, limit=2)
    rest, cursor = await page(stage, cursor)
    assert first + rest == ids
    assert await page(stage, cursor) == ([], cursor)
    late = await stage.custom(6)
    async with stage.ws() as client:
        assert (await client.subscribe(since=cursor))["recovered"] is True
        assert (await client.receive())["event"]["id"] == late.id


async def test_what_others_are_told_is_not_shown(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(push_shards=SHARDS)
    cursor = await begin(stage)
    other = next(
        f"org_{n}"
        for n in range(2, 100)
        if streams.shard_of(f"org_{n}", SHARDS) == streams.shard_of(ORG, SHARDS)
    )
    await stage.publish(envelope(BrandCreated(brand_id="brd_1", name="x"), org=other))
    await stage.publish(envelope(SessionRevoked(session_id="ses_1", user_id="usr_1", reason="x")))
    mine = envelope(BrandCreated(brand_id="brd_2", name="x"))
    await stage.publish(mine)
    assert (await page(stage, cursor))[0] == [mine.id]


async def test_filters_choose_and_move_the_cursor_all_the_same(stage: Stage) -> None:
    cursor = await begin(stage)
    brand = envelope(BrandCreated(brand_id="brd_1", name="x"))
    await stage.publish(brand)
    custom = await stage.custom(1)
    assert (await page(stage, cursor, type="custom.*"))[0] == [custom.id]
    assert (await page(stage, cursor, type=brand.type))[0] == [brand.id]
    assert (await page(stage, cursor, subject="brd_1"))[0] == [brand.id]
    assert (await page(stage, cursor, since=now() + timedelta(hours=1)))[0] == []
    nothing, end = await page(stage, cursor, subject="nobody")
    assert nothing == []
    assert await page(stage, end) == ([], end)


async def test_an_event_pushed_twice_is_on_a_page_once(stage: Stage) -> None:
    cursor = await begin(stage)
    made = await stage.custom(1)
    await stage.redis.delete(*[each async for each in stage.redis.scan_iter("grid8:pushed:*")])
    await stage.publish(made)
    assert (await page(stage, cursor))[0] == [made.id]


async def test_a_cursor_whose_place_is_trimmed_away_has_expired(stage: Stage) -> None:
    cursor = await begin(stage)
    for number in range(3):
        await stage.custom(number)
    await stage.redis.xtrim(
        streams.push(streams.shard_of(ORG, SHARDS)), maxlen=1, approximate=False
    )
    with pytest.raises(CursorExpired):
        await page(stage, cursor)


async def test_a_cursor_that_says_nothing_of_this_stream_has_expired(stage: Stage) -> None:
    shard = streams.shard_of(ORG, SHARDS)
    for cursor in (
        encode(SHARDS, {(shard + 1) % SHARDS: (5, 0)}),
        encode(SHARDS + 1, {shard: (5, 0)}),
        encode(SHARDS, {shard: (2**62, 0)}),
    ):
        with pytest.raises(CursorExpired):
            await page(stage, cursor)
    with pytest.raises(CursorInvalid):
        await page(stage, "g4")


async def test_places_in_other_streams_stay_in_the_cursor(stage: Stage) -> None:
    """So that a browser's event stream on several channels goes on with it."""
    shard = streams.shard_of(ORG, SHARDS)
    cursor = await begin(stage)
    other = (shard + 1) % SHARDS
    mine = cursor.partition(".")[2]
    both = ".".join(["g4", *sorted([mine, f"{other}-7-7"])])
    await stage.custom(1)
    _, end = await page(stage, both)
    assert f".{other}-7-7" in end
    assert mine not in end
