"""A client leaves channels and takes them up again while events flow, and misses none of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import pytest
from archive_stage import begin, number
from notifier_stage import Stage, WsClient, envelope_of

from bus import streams
from handlers.notifier.wire import socket

Make = Callable[..., Awaitable[Stage]]
EVENTS = 1200
CHANNELS = ("org", "project:prj_1")


class Channel:
    """What a client has of one channel, and whether it takes what comes."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        self.seen: list[int] = []
        self.leaving = False


async def flow(stage: Stage, randomness: random.Random) -> None:
    made = [
        envelope_of("custom.test.counted", {"n": each, "project_id": "prj_1"})
        for each in range(EVENTS)
    ]
    at = 0
    while at < EVENTS:
        some = made[at : at + randomness.randint(1, 40)]
        await stage.log(*some)
        await stage.observers[0](some)
        at += len(some)
        if randomness.random() < 0.3:
            await stage.redis.xtrim(streams.push(0), maxlen=20, approximate=False)
        await asyncio.sleep(0)


async def leave_and_come_back(client: WsClient, name: str, channel: Channel) -> None:
    channel.leaving = True
    await client.send(op="unsubscribe", channel=name)
    await client.send(op="subscribe", channel=name, since=channel.cursor)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_a_channel_that_is_left_and_taken_up_in_one_breath(
    make_archived: Make, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It leaves and comes back more often than a client may, on a fast machine.
    monkeypatch.setattr(socket, "BURST", 100_000)
    monkeypatch.setattr(socket, "FRAMES_PER_SECOND", 100_000)
    stage = await make_archived(archive_every=0.2)
    randomness = random.Random(seed)
    state = {name: Channel(await begin(stage, name)) for name in CHANNELS}
    # Nothing was pushed before: marks tell of everything, as they do soon after a start.
    await stage.redis.set(streams.pushed_since(0), int((time.time() - 10) * 1e6))
    async with stage.ws() as client:
        for name, channel in state.items():
            await client.send(op="subscribe", channel=name, since=channel.cursor)
        flowing = asyncio.create_task(flow(stage, randomness))
        while any(not channel.seen or channel.seen[-1] != EVENTS - 1 for channel in state.values()):
            frame = await client.receive()
            channel = state[frame["channel"]]
            if frame["op"] == "unsubscribed":
                channel.leaving = False
            elif frame["op"] == "subscribed":
                assert channel.leaving or frame["recovered"] is True
            elif not channel.leaving:
                channel.seen.append(number(frame))
                channel.cursor = frame["cursor"]
                if randomness.random() < 0.05:
                    await leave_and_come_back(client, frame["channel"], channel)
        await flowing
    for channel in state.values():
        assert channel.seen == list(range(EVENTS))
