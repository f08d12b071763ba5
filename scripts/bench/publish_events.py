"""Publishes events as a worker does after its commit, for ``scripts.bench.sockets``.

Reads JSON lines from standard input. The first has ``redis`` (its URL) and ``event`` (a
CloudEvent of ours, as clients see it). After it, ``{"allow": n}`` lets it publish up to n events
since the start, all that are allowed in one go, and ``{"rate": r, "events": n}`` has it publish n
more at a rate. Says what the clock is when it is connected, and how late it was after a rate.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import uvloop

from bus.broker import connect
from bus.publisher import Publisher
from contracts.envelope import Envelope
from contracts.types import new_id, now
from handlers.routing import pushes_of
from infra.settings import settings


class Events:
    """Events one after the other, each with its number and the time it was published."""

    def __init__(self, like: dict[str, Any]) -> None:
        self._like = {**like, "data": dict(like["data"])}
        self.made = 0

    def take(self, count: int) -> list[Envelope]:
        """The next ``count``."""
        return [self._one() for _ in range(count)]

    def _one(self) -> Envelope:
        mark = f"{self.made:010}{time.monotonic_ns():020}"
        self.made += 1
        data = {**self._like["data"], "mark": mark}
        return Envelope(**{**self._like, "id": new_id("evt"), "time": now(), "data": data})


async def at_rate(publisher: Publisher, events: Events, rate: float, count: int) -> float:
    """Publish at a rate, whether or not Redis has answered; the most milliseconds it was late."""
    started, late = time.monotonic(), 0.0
    under_way: list[asyncio.Task[None]] = []
    for index in range(count):
        due = started + index / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        late = max(late, time.monotonic() - due)
        under_way.append(asyncio.create_task(publisher.publish(events.take(1))))
    await asyncio.gather(*under_way)
    return late * 1000


async def main() -> None:
    """Until standard input ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    setup = json.loads(await lines.readline())
    redis = connect(setup["redis"], max_connections=4)
    await redis.ping()
    publisher = Publisher(redis, pushes=pushes_of(settings()))
    events = Events(setup["event"])
    print(json.dumps({"clock": str(time.monotonic_ns())}), flush=True)
    while line := await lines.readline():
        asked = json.loads(line)
        if "allow" in asked:
            await publisher.publish(events.take(asked["allow"] - events.made))
        else:
            late = await at_rate(publisher, events, asked["rate"], asked["events"])
            print(json.dumps({"late_ms": late}), flush=True)
    await redis.aclose()


if __name__ == "__main__":
    uvloop.run(main())
