"""What authentication costs: verified reads beside open ones, sign-ins beside raw bcrypt."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

from infra.embedded.ports import free_port
from infra.embedded.running import RunningStack
from infra.embedded.stack import running_stack
from infra.settings import AuthSettings
from scripts.bench.processes import UNLIMITED, cpu_seconds, run_load
from scripts.demo.client import Client

Say = Callable[[str], None]

PEOPLE = 8
AHEAD = 4
"""Sign-ins that wait for each core, so that none is ever idle."""


async def measure(
    connections: int, rounds: int, seconds: float, rate: int, say: Say
) -> dict[str, Any]:
    """Medians of ``rounds``, the sides in turn, on a stack of its own.

    Limits are counted, and never reached: they are a part of what a request costs.
    """
    env = {"GRID8_LOGS__LEVEL": "warning", **dict.fromkeys(UNLIMITED, "1000000000")}
    with tempfile.TemporaryDirectory(prefix="grid8-bench-") as folder:
        async with running_stack(Path(folder), env=env) as stack:
            say("the stack is ready")
            async with aiohttp.ClientSession() as http:
                people = await _people(http, stack)
            reads = await _reads(stack, people[0], connections, rounds, seconds, say)
            sign_ins = await _sign_ins(stack, people, rounds, seconds, rate, say)
    return {
        "bench": "auth",
        "rounds": rounds,
        "seconds": seconds,
        "connections": connections,
        "reads": reads,
        "sign_ins": sign_ins,
    }


async def _people(http: aiohttp.ClientSession, stack: RunningStack) -> list[dict[str, Any]]:
    """Somebody with an organization, and others who only sign in."""
    people: list[dict[str, Any]] = []
    for number in range(PEOPLE):
        client = Client(http, stack.gateway_url)
        person = {"email": f"bench{number}@example.org", "password": secrets.token_urlsafe(18)}
        await client.call("Register", "POST", "/v1/auth/register", json={**person, "name": "Bench"})
        tokens = await client.call("Sign in", "POST", "/v1/auth/sessions", json=person)
        client.token = tokens["access_token"]
        people.append({**person, "client": client})
    owner: Client = people[0]["client"]
    org = await owner.call("Organization", "POST", "/v1/orgs", json={"name": "Bench"})
    me = await owner.call("Me", "GET", "/v1/me")
    people[0].update(org=org["id"], user=me["id"], token=owner.token)
    return people


@contextlib.asynccontextmanager
async def _open_gateway(
    stack: RunningStack, owner: dict[str, Any]
) -> AsyncIterator[tuple[str, int]]:
    """Its URL and process id."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.bench.open_gateway", str(port)),
        *(owner["user"], owner["org"]),
        env=stack.env,
    )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 20
    try:
        async with aiohttp.ClientSession() as http:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(f"{url}/health"):
                        break
                if time.monotonic() > deadline or process.returncode is not None:
                    raise RuntimeError("the open gateway did not start; see above")
                await asyncio.sleep(0.1)
        yield url, process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _reads(
    stack: RunningStack,
    owner: dict[str, Any],
    connections: int,
    rounds: int,
    seconds: float,
    say: Say,
) -> dict[str, Any]:
    taken: dict[str, list[dict[str, Any]]] = {"verified": [], "open": []}
    async with _open_gateway(stack, owner) as (url, pid):
        paths = {"verified": f"/v1/orgs/{owner['org']}", "open": f"/open/orgs/{owner['org']}"}
        for number in range(rounds + 1):
            for side, runs in taken.items():
                spec = {**_get(url + paths[side], owner), "connections": connections}
                before = cpu_seconds(pid)
                run = await run_load({**spec, "seconds": seconds if number else 1.0})
                if not number:
                    continue  # warm-up, not counted
                run["cpu_ms"] = (cpu_seconds(pid) - before) * 1000 / max(1, run["requests"])
                runs.append(run)
                say(
                    f"reads, round {number}: {side:<9}{run['per_second']:>7.0f}/s  "
                    f"{run['cpu_ms']:.3f} ms  p99 {run['p99_ms']:.1f} ms  {run['statuses']}"
                )
    figures: dict[str, Any] = {}
    for side, runs in taken.items():
        figures[f"{side}_per_second"] = statistics.median(run["per_second"] for run in runs)
        figures[f"{side}_cpu_ms"] = statistics.median(run["cpu_ms"] for run in runs)
    figures["ratio"] = statistics.median(
        one["per_second"] / other["per_second"]
        for one, other in zip(taken["verified"], taken["open"], strict=True)
    )
    figures["other_answers"] = _others([*taken["verified"], *taken["open"]], "200")
    return figures


def _get(url: str, owner: dict[str, Any]) -> dict[str, Any]:
    # The open side is sent the token as well: it only does not look at it.
    return {"url": url, "method": "GET", "token": owner["token"], "headers": {}}


async def _sign_ins(
    stack: RunningStack,
    people: list[dict[str, Any]],
    rounds: int,
    seconds: float,
    rate: int,
    say: Say,
) -> dict[str, Any]:
    cores = os.cpu_count() or 1
    bodies = [json.dumps({name: each[name] for name in ("email", "password")}) for each in people]
    signing = {
        "url": f"{stack.gateway_url}/v1/auth/sessions",
        "token": "",
        "headers": {},
        "bodies": bodies,
        "connections": cores * AHEAD,
        "seconds": seconds,
    }
    readers = 4
    reading = {
        **_get(f"{stack.gateway_url}/v1/orgs/{people[0]['org']}", people[0]),
        "connections": readers,
        "rate": rate / readers,
        "seconds": seconds,
    }
    taken: list[dict[str, Any]] = []
    reads: list[dict[str, Any]] = []
    raw: list[float] = []
    for number in range(rounds):
        raw.append(await _raw(cores, seconds))
        both = await asyncio.gather(run_load(signing), run_load(reading))
        taken.append(both[0])
        reads.append(both[1])
        say(
            f"sign-ins, round {number + 1}: {both[0]['per_second']:.2f}/s beside raw "
            f"{raw[-1]:.2f}/s  {both[0]['statuses']}; reads p50 {both[1]['p50_ms']:.1f} "
            f"p99 {both[1]['p99_ms']:.1f} ms  {both[1]['statuses']}"
        )
    return {
        "threads": cores,
        "per_second": statistics.median(run["per_second"] for run in taken),
        "raw_per_second": statistics.median(raw),
        "ratio": statistics.median(
            run["per_second"] / each for run, each in zip(taken, raw, strict=True)
        ),
        "reads_rate": rate,
        "reads_p50_ms": statistics.median(run["p50_ms"] for run in reads),
        "reads_p99_ms": statistics.median(run["p99_ms"] for run in reads),
        "other_answers": _others(taken, "201") + _others(reads, "200"),
    }


async def _raw(threads: int, seconds: float) -> float:
    cost = AuthSettings().bcrypt_cost
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.bench.raw_bcrypt", str(cost), str(threads), str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return float(out)


def _others(runs: list[dict[str, Any]], wanted: str) -> int:
    return sum(
        count for run in runs for status, count in run["statuses"].items() if status != wanted
    )
