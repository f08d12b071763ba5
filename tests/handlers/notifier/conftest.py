"""A Valkey that these tests may flush, and notifiers on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from notifier_stage import Server, Stage
from redis.asyncio import Redis


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
async def stage(make_stage: Callable[..., Awaitable[Stage]]) -> Stage:
    """A stage with one notifier of the default limits."""
    return await make_stage()
