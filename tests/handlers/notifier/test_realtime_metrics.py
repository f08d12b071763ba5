"""What the notifier measures of its connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from notifier_stage import Stage, until
from prometheus_client import REGISTRY


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"grid8_realtime_{name}", labels) or 0.0


async def test_delivery_is_timed_from_the_event_and_from_its_push_stream(stage: Stage) -> None:
    names = ("latency_seconds_count", "push_latency_seconds_count")
    async with stage.sse("org") as client, stage.ws() as socket:
        await client.block()
        await socket.subscribe()
        before = [sample(name) for name in names]
        total = sample("push_latency_seconds_sum")
        for number in range(3):
            await stage.custom(number)
            await client.event()
        # Once for an entry, however many it is delivered to.
        assert [sample(name) for name in names] == [each + 3 for each in before]
        assert 0 <= sample("push_latency_seconds_sum") - total < 30


async def test_the_queue_before_each_connection_is_looked_at_once_a_heartbeat(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(heartbeat=0.2)
    before = {each: sample("queue_frames_count", transport=each) for each in ("ws", "sse")}
    async with stage.sse("org"), stage.ws():
        for each, count in before.items():
            await until(
                lambda each=each, count=count: sample("queue_frames_count", transport=each) > count,
                f"the queue before the {each} is measured",
            )


async def test_connections_are_counted_by_how_they_began(stage: Stage) -> None:
    def counts() -> list[float]:
        ways = (("ws", "opened"), ("sse", "opened"), ("sse", "resumed"))
        return [sample("connects_total", transport=each, how=how) for each, how in ways]

    before = counts()
    ticket = await stage.ticket()
    async with stage.ws():
        pass
    async with stage.sse("org", ticket=ticket) as client:
        await client.block()
    for _ in range(2):
        async with stage.sse("org", ticket=ticket, Last_Event_ID=client.last_id) as again:
            await again.block()
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 1, 2]


@pytest.mark.parametrize(("transport", "path"), [("ws", "ws"), ("sse", "sse")])
async def test_refusals_are_counted_by_their_code(stage: Stage, transport: str, path: str) -> None:
    labels = {"transport": transport, "code": "realtime.ticket_invalid"}
    before = sample("refusals_total", **labels)
    headers = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    url = f"{stage.urls[0]}/v1/realtime/{path}?ticket=no&channel=org"
    async with stage.client.get(url, headers=headers) as response:
        assert response.status == 401
    assert sample("refusals_total", **labels) == before + 1
