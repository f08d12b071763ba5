"""A load of WebSockets that costs little, and the program that publishes to them.

``python -m scripts.bench.sockets`` reads one JSON object, a line, from standard input: ``side``
(grid8 or socketio), ``host``, ``port``, ``keys`` (a ticket or token for each socket),
``publisher`` (the command of the program that publishes, empty for none), ``setup`` (what that
is told first), ``watched`` (process ids by name) and ``phases``. It connects, goes through the
phases, prints one JSON object, and holds the sockets until its standard input ends.

A phase has ``seconds``, and either ``window``, events under way at most while it publishes as
fast as they arrive, or ``rate``, events a second whatever arrives. Each event carries its number
and the monotonic clock's nanoseconds when it was published: see counting.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import uvloop

from scripts.bench.counting import Socket, Tally
from scripts.bench.processes import cpu_seconds

CONNECTING = 50
"""Sockets that connect at a time."""
DEADLINE = 60.0
"""Seconds in which all must be connected, and in which what was published must arrive."""


async def connect(spec: dict[str, Any], tally: Tally) -> list[Socket]:
    """As many sockets as there are keys, all of them served. Raises ConnectionError."""
    loop = asyncio.get_running_loop()
    keys, sockets = iter(spec["keys"]), []

    async def some() -> None:
        for key in keys:
            socket = Socket(spec["side"], f"{spec['host']}:{spec['port']}", key, tally)
            sockets.append(socket)
            await loop.create_connection(lambda: socket, spec["host"], spec["port"])  # noqa: B023
            await socket.ready

    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(some() for _ in range(CONNECTING)))
    return sockets


class Publisher:
    """The program that publishes, and how many events it may have published."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.allowed = 0

    @classmethod
    async def start(cls, spec: dict[str, Any]) -> Publisher:
        """Started and connected. Raises RuntimeError when its clock is not ours."""
        process = await asyncio.create_subprocess_exec(
            *spec["publisher"], stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        publisher = cls(process)
        before = time.monotonic_ns()
        publisher.tell(spec["setup"])
        clock = (await publisher.hear())["clock"]
        if not before <= int(clock) <= time.monotonic_ns():
            raise RuntimeError("the publisher has another monotonic clock than the sockets")
        return publisher

    def tell(self, message: dict[str, Any]) -> None:
        """One line for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        """Its next line."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the publisher ended; see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def end(self) -> None:
        """No more is to be published."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()


async def phase(
    asked: dict[str, Any], publisher: Publisher, sockets: int, tally: Tally, pids: dict[str, int]
) -> dict[str, Any]:
    """What one phase measured: deliveries, latencies in ms, processor seconds per process."""
    tally.latencies.clear()
    first, began = publisher.allowed, tally.count
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    started = time.monotonic()
    late = 0.0
    if "window" in asked:
        await _fill_window(asked, publisher, sockets, tally)
    else:
        events = round(asked["rate"] * asked["seconds"])
        publisher.tell({"rate": asked["rate"], "events": events})
        publisher.allowed += events
        late = (await publisher.hear())["late_ms"]
    await _until(publisher.allowed * sockets, tally)
    took = time.monotonic() - started
    cpu = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    ordered = sorted(tally.latencies)
    deliveries = tally.count - began
    return {
        "events": publisher.allowed - first,
        "deliveries": deliveries,
        "per_second": deliveries / took,
        "p50_ms": ordered[len(ordered) // 2] / 1e6,
        "p99_ms": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] / 1e6,
        "max_ms": ordered[-1] / 1e6,
        "publisher_late_ms": late,
        "server_busy": cpu["server"] / took,
        "cpu": cpu,
    }


async def _fill_window(
    asked: dict[str, Any], publisher: Publisher, sockets: int, tally: Tally
) -> None:
    """Keep so many events under way, until the time is over."""
    until, window = time.monotonic() + asked["seconds"], asked["window"]
    step = max(1, window // 16)
    while time.monotonic() < until:
        arrived = tally.count // sockets
        publisher.allowed = arrived + window
        publisher.tell({"allow": publisher.allowed})
        await _until((arrived + step) * sockets, tally)


async def _until(deliveries: int, tally: Tally) -> None:
    """Wait for deliveries. Raises RuntimeError when something is wrong, or they do not come."""
    tally.next = deliveries
    try:
        async with asyncio.timeout(DEADLINE):
            while tally.count < deliveries and not tally.wrong:
                tally.reached.clear()
                await tally.reached.wait()
    except TimeoutError:
        tally.wrong.append(f"{tally.count} of {deliveries} deliveries came in {DEADLINE:g} s")
    if tally.wrong:
        raise RuntimeError("; ".join(tally.wrong[:3]))


async def run(spec: dict[str, Any]) -> tuple[dict[str, Any], list[Socket]]:
    """Connect and go through the phases. Raises RuntimeError or ConnectionError."""
    tally = Tally()
    started = time.monotonic()
    sockets = await connect(spec, tally)
    answer: dict[str, Any] = {"connect_seconds": time.monotonic() - started, "phases": {}}
    if spec["publisher"]:
        publisher = await Publisher.start(spec)
        pids = {**spec["watched"], "sockets": os.getpid(), "publisher": publisher.process.pid}
        for asked in spec["phases"]:
            answer["phases"][asked["name"]] = await phase(
                asked, publisher, len(sockets), tally, pids
            )
        await publisher.end()
        answer["first"] = tally.first.decode()
    return answer, sockets


async def main() -> None:
    """Do what standard input asks for, and hold the sockets until it ends."""
    answer, sockets = await run(json.loads(sys.stdin.readline()))
    print(json.dumps(answer), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for socket in sockets:
        socket.close()


if __name__ == "__main__":
    uvloop.run(main())
