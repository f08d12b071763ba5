"""Real servers for the tests that need them, started once, on ports and in a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from infra.embedded.running import RunningStack
from infra.embedded.stack import running_servers

# Whatever stack this shell points at is not for tests: they would write to it.
for name in [name for name in os.environ if name.upper().startswith("GRID8_")]:
    del os.environ[name]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """MongoDB (a replica set) and Valkey, shared by the whole run: use a database of your own."""
    folder = tmp_path_factory.mktemp("servers")
    with running_servers(folder, env={"GRID8_UP__MONGO_CACHE_GB": "0.25"}) as running:
        yield running


@pytest.fixture(scope="session")
def mongo_url(servers: RunningStack) -> str:
    """A MongoDB that does transactions."""
    return servers.mongo_url


@pytest.fixture(scope="session")
def redis_url(servers: RunningStack) -> str:
    """A Valkey that fsyncs every write before it answers."""
    return servers.redis_url
