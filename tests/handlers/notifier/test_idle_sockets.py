"""A socket that is subscribed to nothing is closed, and says why."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from notifier_stage import Stage


async def test_a_socket_that_subscribes_to_nothing_is_closed(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(idle=0.5)
    async with stage.ws() as busy:
        await busy.subscribe()
        began = time.monotonic()
        async with stage.ws() as client:
            await client.send(op="ping")
            frames, code = await client.rest()
            assert (frames, code) == ([{"op": "pong"}], 4004)
            assert time.monotonic() - began >= 0.5
        await busy.send(op="ping")
        assert await busy.receive() == {"op": "pong"}
        await busy.send(op="unsubscribe", channel="org")
        assert (await busy.receive())["op"] == "unsubscribed"
        assert await busy.closed() == 4004


async def test_an_event_stream_is_not_idle(make_stage: Callable[..., Awaitable[Stage]]) -> None:
    stage = await make_stage(idle=0.3)
    async with stage.sse("org") as stream, stage.ws() as client:
        await stream.block()
        assert await client.closed() == 4004
        await stage.custom(1)
        assert (await stream.event())[0] == "custom.test.counted"
