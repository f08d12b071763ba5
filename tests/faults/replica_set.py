"""A MongoDB of three members, of which one at a time takes writes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from infra.embedded import mongod
from infra.embedded.ports import free_port
from tests.faults.harness import until

MEMBERS = 3


class ReplicaSet:
    """Its members by number; the third votes and may be elected like the others."""

    def __init__(self, folder: Path) -> None:
        self.ports = [free_port() for _ in range(MEMBERS)]
        self._folder = folder
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.url = f"mongodb://{hosts}/?replicaSet={mongod.REPLICA_SET}"

    def start(self, number: int) -> None:
        """Start a member, for the first time or again."""
        folder = self._folder / f"member-{number}"
        folder.mkdir(exist_ok=True)
        command = mongod.command(mongod.find(), self.ports[number], folder, 0.25)
        with (self._folder / f"member-{number}.log").open("ab") as log:
            self._running[number] = subprocess.Popen(command, stdout=log, stderr=log)

    async def form(self) -> None:
        """Make the members a set, and wait until one of them takes writes."""

        async def formed() -> Any:
            try:
                async with self.client(0) as client:
                    await client.admin.command("replSetInitiate", self._config())
            except PyMongoError as error:
                return str(error)
            return True

        await until(formed, "the members answer")
        await self.primary()

    def _config(self) -> dict[str, Any]:
        return {
            "_id": mongod.REPLICA_SET,
            "members": [
                {"_id": number, "host": f"127.0.0.1:{port}"}
                for number, port in enumerate(self.ports)
            ],
            "settings": {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500},
        }

    @asynccontextmanager
    async def client(self, number: int) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
        """A client of one member, whatever its state."""
        url = f"mongodb://127.0.0.1:{self.ports[number]}/?directConnection=true"
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            url, serverSelectionTimeoutMS=1000
        )
        try:
            yield client
        finally:
            await client.close()

    async def primary(self, other_than: int | None = None) -> int:
        """Wait until a member takes writes; its number."""
        found: list[int] = []

        async def elected() -> bool:
            for number in self._running:
                try:
                    async with self.client(number) as client:
                        hello = await client.admin.command("hello")
                except PyMongoError:
                    continue
                if hello.get("isWritablePrimary") and number != other_than:
                    found.append(number)
                    return True
            return False

        await until(elected, "a member takes writes")
        return found[0]

    async def step_down(self) -> int:
        """Have the primary step down at once; the number of the one that follows it."""
        before = await self.primary()
        async with self.client(before) as client:
            await client.admin.command("replSetStepDown", 20, force=True)
        return await self.primary(other_than=before)

    def kill(self, number: int) -> None:
        """kill -9 of a member."""
        process = self._running.pop(number)
        process.kill()
        process.wait()

    async def stop(self) -> None:
        """Kill all: nobody needs the data again."""
        for number in list(self._running):
            await asyncio.to_thread(self.kill, number)


@asynccontextmanager
async def replica_set(folder: Path) -> AsyncIterator[ReplicaSet]:
    """A set that takes writes, until the end of the block."""
    made = ReplicaSet(folder)
    try:
        for number in range(MEMBERS):
            made.start(number)
        await made.form()
        yield made
    finally:
        await made.stop()
