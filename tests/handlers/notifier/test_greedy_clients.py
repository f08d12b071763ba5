"""Clients that would have the notifier keep what nobody will ever take."""

from __future__ import annotations

import gc
import json
import time

import pytest
from notifier_stage import Stage, until
from raw_ws import TEXT, frame, raw_ws

from bus.feed.push_cursor import Position
from handlers.notifier.hub import Hub
from handlers.notifier.presence.copies import Copy


def copies() -> int:
    return sum(isinstance(each, Copy) for each in gc.get_objects())


async def test_what_a_client_calls_a_channel_is_not_sent_back_to_it_unless_it_can_be_one(
    stage: Stage,
) -> None:
    async with raw_ws(stage) as raw:
        for channel in ("é" * 7000, "x" * 129, "project:\n", ""):
            said = json.dumps({"op": "subscribe", "channel": channel}, ensure_ascii=False)
            await raw.send(frame(TEXT, said.encode()))
            answer = await raw.message()
            assert answer["code"] == "realtime.frame_invalid"
            assert "channel" not in answer
        await raw.send(frame(TEXT, b'{"op":"fly","channel":"project:prj_1"}'))
        assert (await raw.message())["channel"] == "project:prj_1"


async def test_an_event_stream_that_ends_while_it_catches_up_leaves_no_watch_of_presence(
    stage: Stage,
) -> None:
    async with stage.ws() as client:
        since = (await client.subscribe())["cursor"]
    before = copies()
    for number in range(700):
        await stage.custom(number, size=16_000)
    async with stage.sse("org", since=since, presence=["org"]) as stream:
        assert "id" in await stream.block()
        # It reads no further, so that it is still catching up when it goes.
        stream.response.close()
    async with stage.ws() as client:
        await client.subscribe()
        await client.send(op="presence", channel="org")
        assert (await client.receive())["op"] == "presence"
    await until(lambda: copies() == before, "nobody watches")


async def test_a_cursor_of_what_has_not_been_yet_is_not_looked_for_without_end(
    archived: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    position = Hub.position

    def counted(hub: Hub, shard: int) -> Position:
        nonlocal asked
        asked += 1
        return position(hub, shard)

    await archived.custom(1)
    async with archived.ws() as client:
        since = f"g1.0-{int((time.time() + 4) * 1000)}-0"
        monkeypatch.setattr(Hub, "position", counted)
        assert not (await client.subscribe(since=since))["recovered"]
    assert asked < 50
