"""A Valkey that these tests may flush, and notifiers on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from notifier_stage import Server, Stage
from redis.asyncio import Redis

from bus.documents import Database, ensure_bus_indexes
from contracts.types import new_id
from infra.mongo import connect
from infra.settings import MongoSettings


@pytest.fixture(scope="session")
async def notifier_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    server = Server(tmp_path_factory.mktemp("notifier"))
    await server.start()
    yield server
    server.kill()


@pytest.fixture
async def flushed(notifier_server: Server) -> Server:
    client = Redis.from_url(notifier_server.url)
    await client.flushall()
    await client.aclose()
    return notifier_server


@pytest.fixture
async def make_stage(flushed: Server) -> AsyncIterator[Callable[..., Awaitable[Stage]]]:
    """Makes a stage with one notifier of the given limits."""
    made: list[Stage] = []

    async def make(**limits: Any) -> Stage:
        stage = Stage(flushed)
        made.append(stage)
        await stage.add(**limits)
        return stage

    yield make
    for stage in made:
        await stage.close()


@pytest.fixture
async def pushes(mongo_url: str) -> AsyncIterator[Database]:
    """A database of one's own, with the bus' indexes."""
    client, database = connect(MongoSettings(url=mongo_url, database=f"pushes_{new_id('t')}"))
    await ensure_bus_indexes(database)
    yield database
    await client.drop_database(database.name)
    await client.close()


@pytest.fixture
async def make_archived(
    flushed: Server, pushes: Database
) -> AsyncIterator[Callable[..., Awaitable[Stage]]]:
    """Makes a stage with one notifier of the given limits, that archives what it pushes."""
    made: list[Stage] = []

    async def make(**limits: Any) -> Stage:
        stage = Stage(flushed, pushes)
        made.append(stage)
        await stage.add(**{"push_shards": 1, **limits})
        return stage

    yield make
    for stage in made:
        await stage.close()


@pytest.fixture
async def archived(make_archived: Callable[..., Awaitable[Stage]]) -> Stage:
    """A stage that archives, with one push stream."""
    return await make_archived()


@pytest.fixture
async def stage(make_stage: Callable[..., Awaitable[Stage]]) -> Stage:
    """A stage with one notifier of the default limits."""
    return await make_stage()
