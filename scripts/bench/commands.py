"""Creating brands over HTTP, beside the lean direct service."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from infra.embedded.ports import free_port
from infra.embedded.running import RunningStack
from infra.embedded.stack import running_stack
from scripts.bench.processes import UNLIMITED, cpu_seconds, run_load
from scripts.bench.targets import new_account, until_answers

SIDES = ("grid8", "grid8 async", "lean")
WATCHED = ("gateway", "worker-corp", "notifier", "mongod", "valkey")


async def measure(
    connections: Sequence[int], rounds: int, seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Rounds of each side in turn at each number of connections, on a stack of its own.

    Returns medians per side and ratios to the lean service, and processor milliseconds per
    request of each process, of the synchronous side.
    """
    with tempfile.TemporaryDirectory(prefix="grid8-bench-") as folder:
        env = {"GRID8_LOGS__LEVEL": "warning", **UNLIMITED}
        async with running_stack(Path(folder), env=env) as stack:
            say("the stack is ready")
            port = free_port()
            lean = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "scripts.bench.lean", str(port), env=stack.env
            )
            try:
                async with aiohttp.ClientSession() as http:
                    targets = await _targets(http, stack, port)
                return await _compare(targets, stack, lean.pid, connections, rounds, seconds, say)
            finally:
                lean.terminate()
                await lean.wait()


async def _targets(
    http: aiohttp.ClientSession, stack: RunningStack, port: int
) -> dict[str, dict[str, Any]]:
    token, org = await new_account(http, stack)
    await until_answers(http, port)
    grid8 = f"{stack.gateway_url}/v1/orgs/{org}/brands"
    common = {"token": token, "headers": {}}
    return {
        "grid8": {**common, "url": grid8},
        "grid8 async": {**common, "url": grid8, "headers": {"Prefer": "respond-async"}},
        "lean": {**common, "url": f"http://127.0.0.1:{port}/brands"},
    }


async def _compare(
    targets: dict[str, dict[str, Any]],
    stack: RunningStack,
    lean: int,
    connections: Sequence[int],
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    results = []
    for side in SIDES:  # warm-up, not counted
        await run_load({**targets[side], "connections": 8, "seconds": 1.0})
    for count in connections:
        taken: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for number in range(rounds):
            for side in SIDES:
                before = _cpu(stack, lean)
                run = await run_load({**targets[side], "connections": count, "seconds": seconds})
                if side == "grid8 async":
                    await _drained(stack)
                after = _cpu(stack, lean)
                run["cpu_ms"] = {
                    name: (after[name] - before[name]) * 1000 / max(1, run["requests"])
                    for name in after
                }
                taken[side].append(run)
                say(
                    f"{count:>4} connections, round {number + 1}: {side:<12}"
                    f"{run['per_second']:>8.0f}/s  p50 {run['p50_ms']:.1f} ms  {run['statuses']}"
                )
        results.append({"connections": count, "sides": _summary(taken)})
    return {"bench": "commands", "rounds": rounds, "seconds": seconds, "results": results}


async def _drained(stack: RunningStack) -> None:
    """Accepted commands are work still owed: the next round starts when they are done."""
    from redis.asyncio import Redis

    from bus import streams

    async with Redis.from_url(stack.redis_url) as redis:
        while True:
            [group] = await redis.xinfo_groups(streams.commands("corp"))
            if not group["pending"] and not group["lag"]:
                return
            await asyncio.sleep(0.1)


def _cpu(stack: RunningStack, lean: int) -> dict[str, float]:
    seconds = {name: cpu_seconds(stack.process(name).pid) for name in WATCHED}
    return {**seconds, "lean": cpu_seconds(lean)}


def _summary(taken: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    def median(side: str, figure: str) -> float:
        return float(statistics.median(run[figure] for run in taken[side]))

    return {
        side: {
            **{figure: median(side, figure) for figure in ("per_second", "p50_ms", "p99_ms")},
            "times_lean": statistics.median(
                run["per_second"] / lean["per_second"]
                for run, lean in zip(runs, taken["lean"], strict=True)
            ),
            "latency_times_lean": statistics.median(
                run["p50_ms"] / lean["p50_ms"]
                for run, lean in zip(runs, taken["lean"], strict=True)
            ),
            "cpu_ms_per_request": {
                name: statistics.median(run["cpu_ms"][name] for run in runs)
                for name in runs[0]["cpu_ms"]
            },
            "other_answers": sum(
                count
                for run in runs
                for status, count in run["statuses"].items()
                if status not in ("201", "202")
            ),
        }
        for side, runs in taken.items()
    }
