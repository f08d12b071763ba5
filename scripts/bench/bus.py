"""The bus alone beside a raw loop, one worker with real writes, and its memory."""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bus import streams
from bus.broker import FIELD, connect, encode
from contracts.actor import Actor
from contracts.corp.commands import CreateBrand
from contracts.corp.events import BrandCreated
from contracts.envelope import Envelope
from contracts.permissions import Role
from contracts.types import new_id, now
from infra.embedded.stack import running_servers
from infra.mongo import connect as connect_mongo
from infra.settings import MongoSettings

Say = Callable[[str], None]


async def measure(
    rounds: int, messages: int, writes: int, memory_messages: int, say: Say
) -> dict[str, Any]:
    """Medians of ``rounds``, the sides in turn, on servers of its own."""
    with tempfile.TemporaryDirectory(prefix="grid8-bench-") as folder:
        async with running_servers(Path(folder)) as servers:
            say("the servers are ready")
            redis = connect(servers.redis_url)
            try:
                alone = await _alone(redis, servers.redis_url, rounds, messages, say)
                real = await _with_writes(redis, servers, rounds, writes, say)
                memory = await _memory(redis, servers.redis_url, memory_messages, say)
            finally:
                await redis.aclose()
    return {"bench": "bus", "rounds": rounds, "alone": alone, "writes": real, "memory": memory}


async def _alone(redis: Redis, url: str, rounds: int, messages: int, say: Say) -> dict[str, float]:
    taken: dict[str, list[float]] = {"grid8": [], "raw": []}
    for number in range(rounds):
        for side, figures in taken.items():
            stream = f"bench:{{{side}{number}}}"
            await _fill(redis, stream, [_event()], messages)
            result = await _run("scripts.bench.consume", side, url, stream, str(messages))
            await redis.delete(stream)
            figures.append(result["per_second"])
            say(f"bus alone, round {number + 1}: {side:<6}{result['per_second']:>9.0f}/s")
    return {
        "messages": messages,
        "grid8_per_second": statistics.median(taken["grid8"]),
        "raw_per_second": statistics.median(taken["raw"]),
        "ratio": statistics.median(
            ours / raw for ours, raw in zip(taken["grid8"], taken["raw"], strict=True)
        ),
    }


async def _with_writes(
    redis: Redis, servers: Any, rounds: int, writes: int, say: Say
) -> dict[str, float]:
    """One corp worker creates brands: document, event, inbox entry, outbox, in a transaction."""
    env = {**servers.env, "GRID8_OPS__PORT": "-1", "GRID8_LOGS__LEVEL": "warning"}
    prepare = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "handlers", "prepare", env=env
    )
    if await prepare.wait():
        raise RuntimeError("prepare failed; see above")
    client, database = connect_mongo(MongoSettings(url=servers.mongo_url))
    org = new_id("org")
    at = now()
    await database["organizations"].insert_one(
        {
            "_id": org,
            "name": "Bench",
            "slug": org,
            "revision": 1,
            "created_at": at,
            "updated_at": at,
        }
    )
    actor = Actor(user="usr_bench", org=org, role=Role.OWNER)
    stream = streams.commands("corp")
    figures = []
    for number in range(rounds):
        batch = secrets.token_hex(4)
        commands = [
            Envelope.of_command(
                CreateBrand(name=f"{batch} {index}"), source="/grid8/bench", actor=actor
            )
            for index in range(writes)
        ]
        await _fill(redis, stream, commands, writes)
        before = await database["brands"].count_documents({})
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "handlers", "corp", env=env
        )
        try:
            first = await _reached(database, before + writes // 10)
            last = await _reached(database, before + writes)
        finally:
            worker.terminate()
            await worker.wait()
        # From a tenth on, so that starting Python is not counted.
        per_second = (last[1] - first[1]) / (last[0] - first[0])
        figures.append(per_second)
        say(f"one worker with writes, round {number + 1}: {per_second:.0f} commands/s")
    await client.close()
    return {"commands": writes, "per_second": statistics.median(figures)}


async def _reached(database: Any, count: int) -> tuple[float, int]:
    """When at least so many brands were there, and how many there were."""
    deadline = time.monotonic() + 300
    while True:
        found = await database["brands"].estimated_document_count()
        if found >= count:
            return time.perf_counter(), found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{found} of {count} commands were carried out in 300 s")
        await asyncio.sleep(0.05)


async def _memory(redis: Redis, url: str, messages: int, say: Say) -> dict[str, float]:
    stream = "bench:{memory}"
    await _fill(redis, stream, [_event()], messages)
    result = await _run("scripts.bench.consume", "grid8", url, stream, str(messages))
    await redis.delete(stream)
    ratio = result["late_mib"] / result["early_mib"]
    say(f"memory: {result['early_mib']:.1f} MiB, then {result['late_mib']:.1f} MiB")
    return {
        "messages": messages,
        "early_mib": result["early_mib"],
        "late_mib": result["late_mib"],
        "ratio": ratio,
    }


def _event() -> Envelope:
    event = BrandCreated(brand_id=new_id("brd"), name="Sunrise")
    command = Envelope.of_command(CreateBrand(name="Sunrise"), source="/grid8/bench")
    return command.caused_event(event, salt="bench", revision=1, org="org_bench")


async def _fill(redis: Redis, stream: str, envelopes: list[Envelope], count: int) -> None:
    """Put ``count`` entries on a stream, the envelopes over and over."""
    values = [encode(each.wire(), id=each.id, correlation=None) for each in envelopes]
    for start in range(0, count, 1000):
        async with redis.pipeline(transaction=False) as pipe:
            for index in range(start, min(start + 1000, count)):
                pipe.xadd(stream, {FIELD: values[index % len(values)]})
            await pipe.execute()


async def _run(module: str, *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{module} failed; see above")
    result: dict[str, Any] = json.loads(out)
    return result
