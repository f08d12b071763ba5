"""Entries that are read together are written together, and nobody can tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from notifier_stage import ORG, Stage, until
from prometheus_client import REGISTRY

from contracts.types import new_id
from handlers.notifier.hub import TOGETHER_BYTES
from handlers.notifier.ws import WsPeer

MANY = 300


async def push(stage: Stage, *entries: dict[str, Any]) -> None:
    """Put entries into the organization's push stream so that they are read together."""
    async with stage.redis.pipeline(transaction=True) as pipe:
        for number, entry in enumerate(entries):
            event = json.dumps({"n": number, "fill": "x" * entry.get("size", 0)})
            fields = {
                "to": " ".join(f"{ORG}/{channel}" for channel in entry["to"]),
                "type": "custom.x",
                "event": event,
                "id": new_id("evt"),
                "at": entry.get("at", 1),
                "control": entry.get("control", ""),
                "copies": 1,
            }
            pipe.xadd(stage.stream(), fields)
        await pipe.execute()


def deliveries() -> float:
    return REGISTRY.get_sample_value("grid8_realtime_deliveries_total") or 0.0


async def test_entries_of_several_channels_keep_their_order_on_a_socket(stage: Stage) -> None:
    kinds = [["org"], ["project:p"], ["org", "project:p"], ["project:q"], ["org", "project:q"]]
    entries = [{"to": kinds[number * number % 5]} for number in range(MANY)]
    channels = {"org", "project:p"}
    expected = [
        (number, channel)
        for number, entry in enumerate(entries)
        for channel in entry["to"]
        if channel in channels
    ]
    async with stage.ws() as both, stage.ws() as one:
        for channel in channels:
            await both.subscribe(channel)
        await one.subscribe("org")
        before = deliveries()
        await push(stage, *entries)
        frames = [await both.receive() for _ in expected]
        assert [(frame["event"]["n"], frame["channel"]) for frame in frames] == expected
        of_org = [number for number, channel in expected if channel == "org"]
        assert [(await one.receive())["event"]["n"] for _ in of_org] == of_org
        assert deliveries() - before == len(expected) + len(of_org)
        cursors = {frame["event"]["n"]: frame["cursor"] for frame in frames}
    assert len(set(cursors.values())) == len(cursors)
    async with stage.ws() as again:
        middle = frames[len(frames) // 2]["event"]["n"]
        await again.subscribe("org", since=cursors[middle])
        rest = [number for number in of_org if number > middle]
        assert [(await again.receive())["event"]["n"] for _ in rest] == rest


async def test_large_entries_are_written_one_by_one(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe()
        await push(stage, *[{"to": ["org"], "size": TOGETHER_BYTES}] * 5, {"to": ["org"]})
        assert [(await client.receive())["event"]["n"] for _ in range(6)] == list(range(6))


async def test_a_channel_that_is_gone_ends_between_the_entries_around_it(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe("project:p")
        await push(
            stage,
            {"to": ["project:p"]},
            {"to": ["project:p"], "control": f"channel {ORG} project:p"},
            {"to": ["project:p"]},
        )
        assert [(await client.receive())["event"]["n"] for _ in range(2)] == [0, 1]
        assert (await client.receive())["op"] == "unsubscribed"
        await client.send(op="ping")
        assert await client.receive() == {"op": "pong"}


async def test_bad_entries_keep_no_others_from_anybody(stage: Stage) -> None:
    async with stage.ws() as client:
        await client.subscribe()
        await push(
            stage,
            {"to": ["org"]},
            {"to": ["org"], "at": "never"},
            {"to": ["org"], "control": "session"},
            {"to": ["org"]},
        )
        assert [(await client.receive())["event"]["n"] for _ in range(3)] == [0, 2, 3]


async def test_a_connection_that_fails_keeps_no_event_from_the_others(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_all = WsPeer.deliver_all

    def fail(peer: WsPeer, burst: Any) -> None:
        if peer.ticket.user == "usr_bad":
            raise OSError
        deliver_all(peer, burst)

    monkeypatch.setattr(WsPeer, "deliver_all", fail)
    async with stage.ws("usr_1") as first, stage.ws("usr_bad") as bad, stage.ws("usr_2") as last:
        for client in (first, bad, last):
            await client.subscribe()
        await push(stage, {"to": ["org"]}, {"to": ["org"]})
        for client in (first, last):
            assert [(await client.receive())["event"]["n"] for _ in range(2)] == [0, 1]


async def test_a_full_socket_is_cut_exactly_where_its_queue_ends(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    """However entries are put together, what was sent before the cut has no gap."""
    stage = await make_stage(queue_limit=16)
    async with stage.ws("usr_1") as slow, stage.ws("usr_2") as fast:
        await slow.subscribe()
        await fast.subscribe()

        async def read() -> list[int]:
            return [(await fast.receive())["event"]["n"] for _ in range(40 * 250)]

        reading = asyncio.create_task(read())
        for _ in range(40):
            await push(stage, *[{"to": ["org"], "size": 3000}] * 250)
        assert await reading == list(range(250)) * 40
        frames, code = await slow.rest()
    assert code == 4008
    assert [frame["event"]["n"] for frame in frames] == [n % 250 for n in range(len(frames))]
    await until(lambda: REGISTRY.get_sample_value("grid8_realtime_queued_frames") == 0, "empty")
