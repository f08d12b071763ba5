"""A stack with settings under which a fault shows, and is over, in seconds; and its stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis

from bus.broker import connect
from infra.embedded.running import RunningStack
from infra.embedded.stack import running_stack
from tests.faults.harness.waiting import until

UNLIMITED = {
    "GRID8_LIMITS__CALLER": "0",
    "GRID8_LIMITS__ADDRESS": "0",
    "GRID8_LIMITS__IDENTITY": "0",
}
"""Tests and load come from one address, and often from one caller."""

QUICK = {
    **UNLIMITED,
    "GRID8_AUTH__BCRYPT_COST": "4",
    "GRID8_AUTH__SESSION_CACHE": "0",
    "GRID8_AUTH__ACCESS_TTL": "7200",
    "GRID8_GATEWAY__REPLY_TIMEOUT": "3",
    "GRID8_WORKER__CLAIM_AFTER": "2",
    "GRID8_WORKER__HEARTBEAT": "0.5",
    "GRID8_RELAY__GRACE": "1",
    "GRID8_RELAY__INTERVAL": "0.3",
    "GRID8_UP__MONGO_CACHE_GB": "0.25",
    "GRID8_ASSETS__FREE_DISK": "0",
}


def fault_stack(folder: Path, env: Mapping[str, str] | None = None) -> RunningStack:
    """A whole stack, to be entered with ``async with``; ``env`` comes on top of ``QUICK``."""
    return running_stack(folder, env={**QUICK, **(env or {})})


@dataclass(frozen=True, slots=True)
class Stores:
    """Looking into what the stack keeps, past the stack."""

    redis: Redis
    database: AsyncDatabase[dict[str, Any]]


@asynccontextmanager
async def stores_of(stack: RunningStack) -> AsyncIterator[Stores]:
    """Both stores of a stack; the client of Redis outlives a restart of it."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(stack.mongo_url, tz_aware=True)
    redis = connect(stack.redis_url)
    try:
        yield Stores(redis, client["grid8"])
    finally:
        await redis.aclose()
        await client.close()


PROCESSES = (
    "gateway",
    "worker-auth",
    "worker-corp",
    "worker-asset",
    "worker-mail",
    "notifier",
    "relay",
)
"""Those of our own: what is left of a stack without its servers."""


def generations(stack: RunningStack) -> dict[str, int]:
    """How often each process of ours was started: the same before and after when none died."""
    return {name: stack.process(name).generation for name in PROCESSES}


async def check_ready(http: aiohttp.ClientSession, stack: RunningStack) -> None:
    """Wait until every process says that it is ready: connected, and reading its streams."""
    urls = {name: stack.ops_url(name) for name in PROCESSES if name not in ("gateway", "notifier")}
    urls |= {"gateway": stack.gateway_url, "notifier": stack.notifier_url}

    async def all_ready() -> Any:
        states = {}
        for name, url in urls.items():
            async with http.get(f"{url}/ready") as response:
                if response.status != 200:
                    states[name] = await response.json()
        return states or True

    await until(all_ready, "every process is ready")
