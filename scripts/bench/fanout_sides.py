"""The two sides of the measurement of sockets: Grid8's notifier, and Socket.IO with Redis."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
from redis.asyncio import Redis

from bus.broker import connect
from contracts.envelope import Envelope
from contracts.types import new_id, now
from contracts.visibility import public_json
from infra.embedded import probes, valkey
from infra.embedded.child import die_with_parent
from infra.embedded.layout import ROOT
from infra.embedded.ports import free_port
from infra.embedded.running import RunningStack
from infra.mongo import connect as connect_mongo
from infra.secrets import open_sessions
from infra.settings import MongoSettings, SecretsSettings
from infra.tickets import TicketStore
from scripts.bench.targets import new_account

MODULES = ROOT / "infra" / "lock" / "js" / "node_modules"
SOCKETS_OF_A_USER = 20

_HERE = Path(__file__).parent


class NoSocketIo(RuntimeError):
    """There is no Node.js, or no Socket.IO."""


class Side(Protocol):
    """One of the two."""

    @property
    def server(self) -> int:
        """The process that holds the sockets."""

    @property
    def watched(self) -> dict[str, int]:
        """The processes an event goes through, by name."""

    async def spec(self, sockets: int) -> dict[str, Any]:
        """What ``scripts.bench.sockets`` needs to know of this side, to connect so many."""

    async def restart(self) -> None:
        """Have the sockets held by a new process."""

    async def collect(self) -> bool:
        """Have the server collect its garbage. False where it cannot be asked to."""


def example(org: str, size: int) -> dict[str, Any]:
    """An event as clients see it, of about so many bytes of JSON."""
    data = {"mark": "0" * 30, "asset_id": new_id("ast"), "state": "approved", "note": ""}
    envelope = Envelope(
        id=new_id("evt"), source="/grid8/bench", type="custom.bench.asset.approved",
        time=now(), subject=str(data["asset_id"]), data=data, org=org, actor=new_id("usr"),
    )  # fmt: skip
    event: dict[str, Any] = json.loads(public_json(envelope))
    event["data"]["note"] = "x" * max(0, size - len(public_json(envelope)))
    return event


class Grid8:
    """A notifier of a running stack, and members of one organization."""

    def __init__(self, stack: RunningStack, redis: Redis, size: int) -> None:
        self.org = ""
        self._stack = stack
        self._size = size
        keys = SecretsSettings.model_validate({"keys": stack.env["GRID8_SECRETS__KEYS"]})
        settings = stack.layout.settings.model_copy(update={"secrets": keys})
        self._sessions = open_sessions(redis, settings)
        self._tickets = TicketStore(redis, settings.notifier.ticket_ttl)
        self._users: list[tuple[str, str]] = []

    @classmethod
    @asynccontextmanager
    async def on(cls, stack: RunningStack, sockets: int, size: int) -> AsyncIterator[Grid8]:
        """With members, each of them signed in, for up to so many sockets."""
        redis = connect(stack.redis_url, max_connections=16)
        try:
            side = cls(stack, redis, size)
            async with aiohttp.ClientSession() as http:
                _, side.org = await new_account(http, stack)
            await side._add_members(-(-sockets // SOCKETS_OF_A_USER))
            yield side
        finally:
            await redis.aclose()

    @property
    def server(self) -> int:
        return self._stack.process("notifier").pid

    @property
    def watched(self) -> dict[str, int]:
        return {"server": self.server, "valkey": self._stack.process("valkey").pid}

    async def spec(self, sockets: int) -> dict[str, Any]:
        users = [self._users[each // SOCKETS_OF_A_USER] for each in range(sockets)]
        issued = await asyncio.gather(
            *(self._tickets.issue(user, session, self.org) for user, session in users)
        )
        url = urlsplit(self._stack.notifier_url)
        return {
            "side": "grid8",
            "host": url.hostname,
            "port": url.port,
            "keys": [ticket for ticket, _ in issued],
            "publisher": [sys.executable, "-m", "scripts.bench.publish_events"],
            "setup": {"redis": self._stack.redis_url, "event": example(self.org, self._size)},
            "watched": self.watched,
        }

    async def restart(self) -> None:
        await self._stack.hold("notifier")
        await self._stack.release("notifier")

    async def collect(self) -> bool:
        return False

    async def _add_members(self, count: int) -> None:
        """As if they had been invited: to register so many would cost more than the rest."""
        client, database = connect_mongo(MongoSettings(url=self._stack.mongo_url))
        memberships = database["memberships"]
        owner = await memberships.find_one({"organization_id": self.org})
        assert owner is not None
        for number in range(count):
            user, session = new_id("usr"), new_id("ses")
            await memberships.insert_one(
                {
                    **owner,
                    "_id": f"{self.org}:{user}",
                    "user_id": user,
                    "email": f"{number}@example.org",
                }
            )
            await self._sessions.put(
                self._sessions.new(session, user, address="127.0.0.1", agent="bench")
            )
            self._users.append((user, session))
        await client.close()


class SocketIo:
    """A Socket.IO server, and a Valkey of its own with the same settings as Grid8's."""

    def __init__(self, folder: Path, niceness: int, size: int) -> None:
        self.org = new_id("org")
        self._folder = folder
        self._niceness = niceness
        self._size = size
        self._secret = secrets.token_urlsafe(32)
        self._redis_port, self._port = free_port(), free_port()
        self._redis_url = f"redis://127.0.0.1:{self._redis_port}/0"
        self._node: asyncio.subprocess.Process | None = None
        self._valkey: asyncio.subprocess.Process | None = None

    @classmethod
    @asynccontextmanager
    async def at(cls, folder: Path, *, niceness: int, size: int) -> AsyncIterator[SocketIo]:
        """Running, with its data in the folder. Raises NoSocketIo."""
        if not (MODULES / "socket.io").exists():
            raise NoSocketIo(
                "socket.io is not installed; ./scripts/test installs it where there is npm "
                "(apt-get install nodejs npm)"
            )
        side = cls(folder, niceness, size)
        try:
            await side._start_valkey()
            await side._start_node()
            yield side
        finally:
            for process in (side._node, side._valkey):
                if process is not None:
                    process.terminate()
                    await process.wait()

    @property
    def server(self) -> int:
        assert self._node is not None
        return self._node.pid

    @property
    def watched(self) -> dict[str, int]:
        assert self._valkey is not None
        return {"server": self.server, "valkey": self._valkey.pid}

    async def spec(self, sockets: int) -> dict[str, Any]:
        return {
            "side": "socketio",
            "host": "127.0.0.1",
            "port": self._port,
            "keys": [self._token(f"usr_{each // SOCKETS_OF_A_USER}") for each in range(sockets)],
            "publisher": ["node", str(_HERE / "socketio_publisher.cjs")],
            "setup": {
                "redis": self._redis_url,
                "event": example(self.org, self._size),
                "room": f"org:{self.org}",
            },
            "watched": self.watched,
        }

    async def restart(self) -> None:
        assert self._node is not None
        self._node.terminate()
        await self._node.wait()
        await self._start_node()

    async def collect(self) -> bool:
        assert self._node is not None
        self._node.send_signal(signal.SIGUSR2)
        return bool((await self._hear())["collected"])

    def _token(self, user: str) -> str:
        proof = hmac.new(self._secret.encode(), f"{user}.{self.org}".encode(), hashlib.sha256)
        shown = base64.urlsafe_b64encode(proof.digest()).decode().rstrip("=")
        return f"{user}.{self.org}.{shown}"

    async def _start_valkey(self) -> None:
        await asyncio.to_thread(self._folder.mkdir)
        self._valkey = await asyncio.create_subprocess_exec(
            *valkey.command(valkey.find(), self._redis_port, self._folder),
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=die_with_parent(),
        )
        ready = probes.redis_ready("127.0.0.1", self._redis_port)
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    if await ready():
                        return
                await asyncio.sleep(0.05)

    async def _start_node(self) -> None:
        try:
            self._node = await asyncio.create_subprocess_exec(
                *("node", "--expose-gc", str(_HERE / "socketio_server.cjs")),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=node_env(),
                preexec_fn=die_with_parent(self._niceness),
            )
        except FileNotFoundError as error:
            raise NoSocketIo(
                "there is no Node.js (node) to run Socket.IO with: apt-get install nodejs npm"
            ) from error
        assert self._node.stdin is not None
        spec = {"port": self._port, "redis": self._redis_url, "secret": self._secret}
        self._node.stdin.write(json.dumps(spec).encode())
        self._node.stdin.close()
        await self._hear()

    async def _hear(self) -> dict[str, Any]:
        assert self._node is not None
        assert self._node.stdout is not None
        line = await self._node.stdout.readline()
        if not line:
            raise RuntimeError("the Socket.IO server ended; see above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def node_env() -> dict[str, str]:
    """The environment in which node finds the JavaScript packages, as in production."""
    return {**os.environ, "NODE_PATH": str(MODULES), "NODE_ENV": "production"}
