"""Uploads through the gateway, beside bare aiohttp that writes the same stream to a file."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from infra.embedded.ports import free_port
from infra.embedded.running import RunningStack
from infra.embedded.stack import running_stack
from scripts.bench.processes import UNLIMITED, cpu_seconds, run_load
from scripts.bench.targets import new_account, until_answers

SIDES = ("grid8", "cached", "synced")
WATCHED = ("gateway", "worker-asset", "mongod", "valkey")


async def measure(
    connections: int, rounds: int, seconds: float, size: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Rounds of each side in turn, on a stack of its own; every file is another one.

    Returns medians per side, ratios to both bare sides, and processor milliseconds of an
    upload per process. ``size`` is bytes of a file.
    """
    with tempfile.TemporaryDirectory(prefix="grid8-bench-") as folder:
        env = {"GRID8_LOGS__LEVEL": "warning", **UNLIMITED}
        async with running_stack(Path(folder), env=env) as stack:
            say("the stack is ready")
            port, files = free_port(), Path(folder, "bare")
            await asyncio.to_thread(files.mkdir)
            bare = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "scripts.bench.bare_uploads",
                str(port),
                str(files),
                env=stack.env,
            )
            try:
                async with aiohttp.ClientSession() as http:
                    targets = await _targets(http, stack, port)
                common = {"connections": connections, "size": size}
                for side in SIDES:  # warm-up, not counted
                    await run_load({**targets[side], **common, "seconds": 1.0})
                taken: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
                for number in range(rounds):
                    for side in SIDES:
                        spec = {**targets[side], **common, "seconds": seconds}
                        run = await _round(stack, bare.pid, spec)
                        taken[side].append(run)
                        say(
                            f"round {number + 1}: {side:<8}{run['per_second']:>7.0f}/s  "
                            f"p50 {run['p50_ms']:.1f} ms  {run['statuses']}"
                        )
                        await asyncio.to_thread(_empty, files)
            finally:
                bare.terminate()
                await bare.wait()
    return {
        "bench": "uploads",
        "connections": connections,
        "rounds": rounds,
        "seconds": seconds,
        "bytes": size,
        "sides": _summary(taken),
    }


async def _targets(
    http: aiohttp.ClientSession, stack: RunningStack, port: int
) -> dict[str, dict[str, Any]]:
    token, org = await new_account(http, stack)
    await until_answers(http, port)
    common = {
        "token": token,
        "headers": {},
        "media_type": "application/octet-stream",
    }
    return {
        "grid8": {**common, "url": f"{stack.gateway_url}/v1/orgs/{org}/assets"},
        "cached": {**common, "url": f"http://127.0.0.1:{port}/cached"},
        "synced": {**common, "url": f"http://127.0.0.1:{port}/synced"},
    }


async def _round(stack: RunningStack, bare: int, spec: dict[str, Any]) -> dict[str, Any]:
    before = _cpu(stack, bare)
    run = await run_load(spec)
    await _drained(stack)
    after = _cpu(stack, bare)
    run["cpu_ms"] = {
        name: (after[name] - before[name]) * 1000 / max(1, run["requests"]) for name in after
    }
    return run


async def _drained(stack: RunningStack) -> None:
    """What follows an upload is work still owed: the next round starts when it is done."""
    from redis.asyncio import Redis

    from bus import streams

    async with Redis.from_url(stack.redis_url) as redis:
        for stream in (streams.commands("asset"), streams.commands("asset", "slow")):
            while True:
                [group] = await redis.xinfo_groups(stream)
                if not group["pending"] and not group["lag"]:
                    break
                await asyncio.sleep(0.1)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _cpu(stack: RunningStack, bare: int) -> dict[str, float]:
    seconds = {name: cpu_seconds(stack.process(name).pid) for name in WATCHED}
    return {**seconds, "bare": cpu_seconds(bare)}


def _summary(taken: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    def times(side: str, other: str) -> float:
        ratios = (
            run["per_second"] / beside["per_second"]
            for run, beside in zip(taken[side], taken[other], strict=True)
        )
        return float(statistics.median(ratios))

    return {
        side: {
            **{
                figure: statistics.median(run[figure] for run in runs)
                for figure in ("per_second", "p50_ms", "p99_ms")
            },
            "times_cached": times(side, "cached"),
            "times_synced": times(side, "synced"),
            "cpu_ms_per_request": {
                name: statistics.median(run["cpu_ms"][name] for run in runs)
                for name in runs[0]["cpu_ms"]
            },
            "other_answers": sum(
                count
                for run in runs
                for status, count in run["statuses"].items()
                if status != "201"
            ),
        }
        for side, runs in taken.items()
    }
