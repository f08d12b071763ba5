"""Events to many sockets of one organization, beside Socket.IO with its Redis adapter."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from infra.embedded.stack import running_stack
from scripts.bench.fanout_sides import Grid8, Side, SocketIo, node_env
from scripts.bench.processes import UNLIMITED, memory_kib

Say = Callable[[str], None]

STEADY = 20_000
"""Deliveries a second at which latencies are compared."""
MIN_WINDOW = 16
"""Events under way at least, however many sockets there are."""
SETTLE = 3.0
"""Seconds after which sockets that do nothing count as idle."""
FIRST = 50
"""Sockets that come and go before memory is looked at, so that code and pools are there."""
MEMORY_ROUNDS = 3
FIGURES = ("per_second", "p50_ms", "p99_ms", "server_busy")


async def measure(
    sockets: Sequence[int],
    rounds: int,
    seconds: float,
    under_way: int,
    size: int,
    say: Say,
    *,
    idle: int = 1000,
) -> dict[str, Any]:
    """Rounds of each side in turn, on servers of its own.

    ``under_way`` is deliveries not yet made while as many as possible are, about; ``size``
    about the bytes of an event, ``idle`` sockets that memory is looked at with. Raises NoSocketIo, CannotStartError, and RuntimeError when a
    delivery is missing, there twice, or not in order.
    """
    with tempfile.TemporaryDirectory(prefix="grid8-bench-") as folder:
        env = {"GRID8_LOGS__LEVEL": "warning", **UNLIMITED}
        async with running_stack(Path(folder), env=env) as stack:
            nice = stack.process("notifier").process.niceness
            async with (
                Grid8.on(stack, max(idle, *sockets), size) as grid8,
                SocketIo.at(Path(folder, "socketio"), niceness=nice, size=size) as socketio,
            ):
                say("both sides are ready")
                sides: dict[str, Side] = {"grid8": grid8, "socketio": socketio}
                memory = {
                    name: await _memory(name, side, idle, rounds, say)
                    for name, side in sides.items()
                }
                results = [
                    await _rounds(sides, count, rounds, seconds, under_way, say)
                    for count in sockets
                ]
    return {
        "bench": "fanout",
        "rounds": rounds,
        "seconds": seconds,
        "under_way": under_way,
        "bytes": size,
        "memory": {**memory, "sockets": idle},
        "results": results,
    }


@asynccontextmanager
async def holding(side: Side, sockets: int, phases: Sequence[dict[str, Any]]) -> AsyncIterator[Any]:
    """What ``scripts.bench.sockets`` measures, in a process that then holds its sockets."""
    spec = {**await side.spec(sockets), "phases": phases}
    if not phases:
        spec["publisher"] = []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.bench.sockets"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=node_env(),
        limit=2**20,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(spec).encode() + b"\n")
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError("the sockets failed; see above")
        yield json.loads(line)
    finally:
        process.stdin.close()
        await process.wait()


async def _rounds(
    sides: dict[str, Side], sockets: int, rounds: int, seconds: float, under_way: int, say: Say
) -> dict[str, Any]:
    window = max(MIN_WINDOW, under_way // sockets)
    phases = [
        {"name": "warm-up", "seconds": min(1.0, seconds), "window": window},
        # What is owed after many events is done before latencies are looked at.
        {"name": "rest", "seconds": min(2.0, seconds), "rate": 10},
        {"name": "steady", "seconds": seconds, "rate": STEADY / sockets},
        {"name": "most", "seconds": seconds, "window": window},
    ]
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for number in range(rounds):
        shapes = {}
        for name, side in sides.items():
            async with holding(side, sockets, phases) as run:
                taken[name].append(run["phases"])
            shapes[name] = _shape(name, run["first"])
            most, steady = run["phases"]["most"], run["phases"]["steady"]
            say(
                f"round {number + 1}: {sockets:>5} sockets  {name:<9}"
                f"{most['per_second']:>9,.0f} deliveries/s  {most['server_busy']:>4.0%} of a core  "
                f"{_cpu_of(most)['server']:>6.2f} ms of its processor for 1,000;  "
                f"steady p50 {steady['p50_ms']:.1f} ms  p99 {steady['p99_ms']:.1f} ms"
            )
        if shapes["grid8"] != shapes["socketio"]:
            raise RuntimeError(f"the sides do not deliver the same events: {shapes}")
    return {
        "sockets": sockets,
        "sides": {name: _summary(runs, taken["socketio"]) for name, runs in taken.items()},
    }


def _shape(side: str, message: str) -> dict[str, int]:
    """The members of the event in a message, and the length of each."""
    event = (
        json.loads(message)["event"]
        if side == "grid8"
        else json.loads(message.removeprefix("42"))[1]
    )
    return {name: len(json.dumps(value)) for name, value in event.items()}


def _summary(runs: list[dict[str, Any]], beside: list[dict[str, Any]]) -> dict[str, Any]:
    def times(phase: str, figure: str) -> float:
        return statistics.median(
            float(run[phase][figure] / other[phase][figure])
            for run, other in zip(runs, beside, strict=True)
        )

    answer: dict[str, Any] = {
        phase: {
            **{each: statistics.median(run[phase][each] for run in runs) for each in FIGURES},
            "deliveries": sum(run[phase]["deliveries"] for run in runs),
            "cpu_ms_per_1000": {
                name: statistics.median(_cpu_of(run[phase])[name] for run in runs)
                for name in runs[0][phase]["cpu"]
            },
        }
        for phase in ("most", "steady")
    }
    answer["most"]["times_socketio"] = times("most", "per_second")
    answer["steady"]["times_socketio"] = times("steady", "p99_ms")
    answer["steady"]["publisher_late_ms"] = max(run["steady"]["publisher_late_ms"] for run in runs)
    return answer


def _cpu_of(phase: dict[str, Any]) -> dict[str, float]:
    """Processor milliseconds for 1,000 deliveries, of each process."""
    return {name: used * 1e6 / phase["deliveries"] for name, used in phase["cpu"].items()}


async def _memory(
    name: str, side: Side, idle: int, rounds: int, say: Say
) -> dict[str, dict[str, float]]:
    """KiB of the server for each idle socket: as it is, and with garbage collected before."""
    kinds = {"as it is": False}
    if await side.collect():
        kinds["collected"] = True
    answer = {}
    for kind, collect in kinds.items():
        grown = [await _growth(side, idle, collect) for _ in range(min(rounds, MEMORY_ROUNDS))]
        answer[kind] = {each: statistics.median(one[each] for one in grown) for each in grown[0]}
        shown = answer[kind]
        say(
            f"an idle socket: {name}, {kind}: {shown['private']:.1f} KiB private, "
            f"{shown['resident']:.1f} KiB resident"
        )
    return answer


async def _growth(side: Side, idle: int, collect: bool) -> dict[str, float]:
    await side.restart()
    async with holding(side, FIRST, []):
        pass
    before = await _settled(side, collect)
    async with holding(side, idle, []):
        after = await _settled(side, collect)
    return {each: (after[each] - before[each]) / idle for each in after}


async def _settled(side: Side, collect: bool) -> dict[str, int]:
    await asyncio.sleep(SETTLE)
    if collect:
        await side.collect()
    return memory_kib(side.server)
