"""A stack with settings under which a fault shows, and is over, in seconds; and its stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis

from bus.broker import connect
from infra.embedded.running import RunningStack
from infra.embedded.stack import running_stack

QUICK = {
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
