"""A slow reader is cut and can resume; nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from notifier_stage import SseClient, Stage, WsClient, until
from prometheus_client import REGISTRY

from handlers.notifier.outbox import Outbox

SIZE = 50_000
TOTAL = 400


def cuts(transport: str) -> float:
    labels = {"transport": transport, "code": "4008"}
    return REGISTRY.get_sample_value("grid8_realtime_cuts_total", labels) or 0.0


async def read_all(client: WsClient) -> list[int]:
    return [(await client.receive())["event"]["data"]["n"] for _ in range(TOTAL)]


@pytest.fixture
async def small(make_stage: Callable[..., Awaitable[Stage]]) -> Stage:
    return await make_stage(queue_limit=16)


async def test_a_slow_socket_is_cut_while_another_gets_everything(small: Stage) -> None:
    before = cuts("ws")
    async with small.ws("usr_1") as slow, small.ws("usr_2") as fast:
        cursor = (await slow.subscribe())["cursor"]
        await fast.subscribe()
        reading = asyncio.create_task(read_all(fast))
        for number in range(TOTAL):
            await small.custom(number, size=SIZE)
        assert await reading == list(range(TOTAL))
        assert cuts("ws") == before + 1
        frames, code = await slow.rest()
        assert code == 4008
        seen = [frame["event"]["data"]["n"] for frame in frames]
        cursor = frames[-1]["cursor"] if frames else cursor
    assert seen == list(range(len(seen)))
    assert len(seen) < TOTAL
    async with small.ws("usr_1") as again:
        assert (await again.subscribe(since=cursor))["recovered"] is True
        while seen[-1] != TOTAL - 1:
            seen.append((await again.receive())["event"]["data"]["n"])
    assert seen == list(range(TOTAL))


async def test_a_slow_event_stream_is_ended_and_resumes(small: Stage) -> None:
    before = cuts("sse")
    async with small.sse("org") as slow, small.ws("usr_2") as fast:
        await fast.subscribe()
        await slow.block()
        reading = asyncio.create_task(read_all(fast))
        for number in range(TOTAL):
            await small.custom(number, size=SIZE)
        assert await reading == list(range(TOTAL))
        assert cuts("sse") == before + 1
        seen = await rest(slow)
    assert seen == list(range(len(seen)))
    assert len(seen) < TOTAL
    async with small.sse("org", since=slow.last_id) as again:
        while seen[-1] != TOTAL - 1:
            _, data = await again.event()
            seen.append(data["data"]["n"])
    assert seen == list(range(TOTAL))


async def rest(client: SseClient) -> list[int]:
    seen = []
    while True:
        kind, data = await client.event()
        if kind == "close":
            assert data["code"] == 4008
            return seen
        seen.append(data["data"]["n"])


async def test_a_socket_that_never_reads_again_is_taken_down(small: Stage) -> None:
    def sockets() -> float:
        return REGISTRY.get_sample_value("grid8_realtime_sockets", {"transport": "ws"}) or 0.0

    before = sockets()
    async with small.ws() as slow:
        await slow.subscribe()
        transport = slow.socket.get_extra_info("socket")
        assert transport is not None
        for number in range(TOTAL):
            await small.custom(number, size=SIZE)
        await until(lambda: sockets() == before, "the socket is forgotten")
    assert REGISTRY.get_sample_value("grid8_realtime_queued_frames") == 0


async def test_an_outbox_keeps_order_and_overflows_once_full() -> None:
    gate, written, cut = asyncio.Event(), [], []
    direct = [True]

    async def send(item: int) -> None:
        await gate.wait()
        written.append(item)

    def now(item: int) -> bool:
        if direct[0]:
            written.append(item)
        return direct[0]

    outbox = Outbox[int](4, send=send, direct=now, overflow=lambda: cut.append(True))
    outbox.offer(0)
    direct[0] = False
    for item in range(1, 6):
        outbox.offer(item)
        await asyncio.sleep(0)
    direct[0] = True
    assert written == [0]
    assert cut == []
    outbox.offer(6)
    assert cut == [True]
    gate.set()
    await outbox.flush()
    assert written == [0, 1, 2, 3, 4, 5]


async def test_an_outbox_whose_socket_breaks_wakes_who_waits_for_room() -> None:
    async def send(item: int) -> None:
        await asyncio.sleep(0)
        raise ConnectionResetError

    outbox = Outbox[int](4, send=send, direct=lambda item: False, overflow=lambda: None)
    for item in range(4):
        outbox.offer(item)
    async with asyncio.timeout(5):
        await outbox.room()
    assert outbox.closed
