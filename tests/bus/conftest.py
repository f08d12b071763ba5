"""A bus of its own for each test: another database, an emptied logical database of Redis."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator

import pytest
from beanie import init_beanie

from bus.broker import connect
from bus.committer import Committer
from bus.publisher import Publisher
from bus.replies import Replies
from contracts import sealed
from contracts.base import Message
from infra import mongo
from infra.settings import MongoSettings
from tests.bus import probe


@pytest.fixture(autouse=True)
def _contracts_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Message, "_known", {**Message._known, **probe.CONTRACTS})
    monkeypatch.setattr(sealed, "_keys", [])
    sealed.use_keys([os.urandom(32)])


@pytest.fixture(scope="session")
def bus_redis_url(redis_url: str) -> str:
    return redis_url.removesuffix("/0") + "/1"


@pytest.fixture
async def bus(mongo_url: str, bus_redis_url: str) -> AsyncIterator[probe.Bus]:
    redis = connect(bus_redis_url)
    await redis.flushdb()
    name = f"bus-{uuid.uuid4().hex[:12]}"
    client, database = mongo.connect(MongoSettings(url=mongo_url, database=name))
    await init_beanie(database=database, document_models=[probe.Thing])
    publisher = Publisher(redis, durable="always")
    committer = Committer(client, database)
    replies = Replies(redis)
    await replies.start()
    yield probe.Bus(redis, database, publisher, committer, replies)
    await committer.close()
    await publisher.pipeline.close()
    await replies.close()
    await redis.aclose()
    await client.drop_database(name)
    await client.close()
