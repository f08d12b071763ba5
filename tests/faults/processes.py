"""Processes of ours beside the test, and the database and key space that they work on."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bus.broker import connect
from bus.documents import Database
from infra import mongo
from infra.settings import MongoSettings

ROOT = Path(__file__).resolve().parents[2]


class Processes:
    """Processes of ours on servers of the test's own database and key space."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self.env = env
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{len(self.running)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.running.append(process)
        return process

    def fragile(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a worker of the probe domain; see fragile.py."""
        names = ("GRID8_MONGO__URL", "GRID8_MONGO__DATABASE", "GRID8_REDIS__URL")
        return self.start("tests.faults.fragile", *(self.env[name] for name in names), *arguments)

    def said(self) -> str:
        logs = sorted(self.folder.glob("*.log"), key=lambda path: int(path.stem))
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in logs)

    def end(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def processes(mongo_url: str, redis_url: str, tmp_path: Path) -> Iterator[Processes]:
    made = Processes(
        {
            **os.environ,
            "GRID8_DATA_FOLDER": str(tmp_path),
            "GRID8_MONGO__URL": mongo_url,
            "GRID8_MONGO__DATABASE": f"kill-{uuid.uuid4().hex[:8]}",
            "GRID8_REDIS__URL": redis_url.removesuffix("/0") + "/5",
            "GRID8_SECRETS__KEYS": base64.b64encode(os.urandom(32)).decode(),
            "GRID8_OPS__PORT": "-1",
            "GRID8_WORKER__CLAIM_AFTER": "1.5",
            "GRID8_WORKER__HEARTBEAT": "0.4",
            "GRID8_RELAY__GRACE": "1",
            "GRID8_RELAY__INTERVAL": "0.3",
        },
        tmp_path,
    )
    yield made
    made.end()


@pytest.fixture
async def redis(processes: Processes) -> AsyncIterator[Redis]:
    client = connect(processes.env["GRID8_REDIS__URL"])
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
async def database(processes: Processes) -> AsyncIterator[Database]:
    name = processes.env["GRID8_MONGO__DATABASE"]
    client, found = mongo.connect(
        MongoSettings(url=processes.env["GRID8_MONGO__URL"], database=name)
    )
    # What a killed worker had begun keeps its documents locked for this long.
    limit = "transactionLifetimeLimitSeconds"
    before = await client.admin.command({"getParameter": 1, limit: 1})
    await client.admin.command({"setParameter": 1, limit: 3})
    yield found
    await client.admin.command({"setParameter": 1, limit: before[limit]})
    await client.drop_database(name)
    await client.close()
