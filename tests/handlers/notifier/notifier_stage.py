"""A running notifier over a real Valkey, and clients that wait with a deadline."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
from event_stream import Block, Parser
from redis.asyncio import Redis

from bus import streams
from bus.broker import connect
from bus.documents import EVENTS, Database
from bus.handling import Observer
from bus.logged import event_document
from bus.publisher import Publisher
from contracts.actor import Actor
from contracts.base import Event
from contracts.envelope import Envelope
from contracts.errors import DomainError, ErrorKind
from contracts.types import new_id, now
from handlers.domain import Context
from handlers.notifier.worker import wire
from infra.embedded import valkey
from infra.embedded.ports import free_port
from infra.secrets import open_sessions
from infra.settings import Settings
from infra.tickets import SSE_PATH, WS_PATH, TicketStore

DEADLINE = 10.0
ORG = "org_1"
USER = "usr_1"


class Denied(DomainError):
    code = "test.denied"
    kind = ErrorKind.NOT_FOUND
    title = "Not for you"


async def until(
    check: Callable[[], Any | Awaitable[Any]], what: str, patience: float = DEADLINE
) -> Any:
    """Wait until the check holds; its value."""
    deadline = time.monotonic() + patience
    while True:
        value = check()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.02)


class Server:
    """A Valkey of one's own, which may be killed, flushed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            valkey.command(valkey.find(), self.port, self.folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await self.answers()

    def client(self) -> Redis:
        return Redis.from_url(self.url)

    async def answers(self) -> None:
        async with self.client() as client:

            async def answers() -> bool:
                try:
                    return bool(await client.ping())
                except Exception:
                    return False

            await until(answers, "Valkey answers")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Stage:
    """Notifiers on one server; what may be seen is decided by ``denied``."""

    def __init__(self, server: Server, database: Database | None = None) -> None:
        """With a database, what is published is in the event log, and pushes are archived."""
        self.server = server
        self.database = database
        self.denied: set[tuple[str, str]] = set()
        self.fails_with: Exception | None = None
        """What authorisation fails with, as when MongoDB is away."""
        self.gate = asyncio.Event()
        """While it is clear, authorisation takes its time."""
        self.gate.set()
        self.asked: list[tuple[str, str]] = []
        self.looks = 0
        """How often somebody's rights were asked for."""
        self.urls: list[str] = []
        self.origins: list[str] = []
        """Of pages that notifiers added from now on let in."""
        self.observers: list[Observer] = []
        self._stack = AsyncExitStack()
        self._sessions: dict[str, str] = {}

    async def authorise(self, actor: Actor, channel: str) -> None:
        self.asked.append((actor.user, channel))
        await self.gate.wait()
        if self.fails_with is not None:
            raise self.fails_with
        if (actor.user, channel) in self.denied:
            raise Denied()

    async def rights(self, actor: Actor) -> frozenset[str] | None:
        """What is denied; None for who may not even listen to their organization."""
        self.looks += 1
        try:
            await self.authorise(actor, "org")
        except DomainError:
            return None
        return frozenset(channel for user, channel in self.denied if user == actor.user)

    async def add(self, **limits: Any) -> None:
        """Start one more notifier."""
        archive = {"archive_every": 0.05} if self.database is not None else {"archive_days": 0}
        self.settings = Settings(
            redis={"url": self.server.url},
            notifier={"port": free_port(), **archive, **limits},
            gateway={"cors_origins": ["https://app.example", *self.origins]},
            secrets={"keys": [base64.b64encode(bytes(32)).decode()]},
        )
        self.redis = connect(self.server.url)
        self._stack.push_async_callback(self.redis.aclose)
        publisher = self.publisher = Publisher(self.redis)
        context = Context(
            self.settings,
            self.redis,
            cast(Any, self.database),
            publisher,
            cast(Any, None),
            authorise=self.authorise,
            rights=self.rights,
        )
        domain = await self._stack.enter_async_context(wire(context))
        assert domain.observer is not None
        self.observers.append(domain.observer)
        self.urls.append(self.settings.notifier_url)
        self.client = await self._stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))
        )
        self.tickets = TicketStore(self.redis, 60)
        self.sessions = open_sessions(self.redis, self.settings)

    async def close(self) -> None:
        await self._stack.aclose()

    async def session(self, user: str = USER) -> str:
        if user not in self._sessions:
            session = self.sessions.new(new_id("ses"), user, address="127.0.0.1", agent="test")
            await self.sessions.put(session)
            self._sessions[user] = session.id
        return self._sessions[user]

    async def restore_sessions(self) -> None:
        """Have the sessions again that Redis has lost."""
        for user, id in self._sessions.items():
            await self.sessions.put(self.sessions.new(id, user, address="127.0.0.1", agent="test"))

    async def ticket(self, user: str = USER, org: str = ORG, impersonator: str = "") -> str:
        session = "" if user.startswith("key_") else await self.session(user)
        return (await self.tickets.issue(user, session, org, impersonator))[0]

    @asynccontextmanager
    async def ws(
        self,
        user: str = USER,
        org: str = ORG,
        *,
        at: int = 0,
        impersonator: str = "",
        **options: Any,
    ) -> AsyncIterator[WsClient]:
        url = f"{self.urls[at]}{WS_PATH}?ticket={await self.ticket(user, org, impersonator)}"
        async with self.client.ws_connect(url, **options) as socket:
            yield WsClient(socket)

    @asynccontextmanager
    async def sse(
        self,
        *channels: str,
        user: str = USER,
        at: int = 0,
        since: str = "",
        ticket: str = "",
        presence: Sequence[str] = (),
        **headers: str,
    ) -> AsyncIterator[SseClient]:
        ticket = ticket or await self.ticket(user)
        query = [("ticket", ticket), *(("channel", name) for name in channels)]
        query += [("presence", name) for name in presence]
        if since:
            query.append(("since", since))
        async with self.client.get(
            self.urls[at] + SSE_PATH,
            params=query,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        ) as response:
            yield SseClient(response)

    async def publish(self, envelope: Envelope, *, at: int = 0) -> None:
        if self.database is not None:
            await self.log(envelope)
        await self.observers[at]([envelope])

    async def log(self, *envelopes: Envelope) -> None:
        """Write events into the event log, as a worker's commit does."""
        assert self.database is not None
        logged = time.time_ns() // 1000
        await self.database[EVENTS].insert_many(
            [
                {**event_document(each), "logged": logged + number}
                for number, each in enumerate(envelopes)
            ]
        )

    async def custom(self, number: int, *, org: str = ORG, at: int = 0, size: int = 0) -> Envelope:
        """Publish an event with a number in it."""
        made = envelope_of("custom.test.counted", {"n": number, "fill": "x" * size}, org=org)
        await self.publish(made, at=at)
        return made

    def stream(self, scope: str = ORG) -> str:
        return streams.push(streams.shard_of(scope, self.settings.notifier.push_shards))


class WsClient:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **frame: Any) -> None:
        await self.socket.send_str(json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        """The next message. Raises ConnectionError with the close code when there is none."""
        message = await self.socket.receive(timeout=DEADLINE)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(self.socket.close_code)
        return cast(dict[str, Any], json.loads(message.data))

    async def subscribe(self, channel: str = "org", since: str | None = None) -> dict[str, Any]:
        await self.send(op="subscribe", channel=channel, **({"since": since} if since else {}))
        answer = await self.receive()
        assert answer["op"] == "subscribed", answer
        assert answer["channel"] == channel
        return answer

    async def rest(self) -> tuple[list[dict[str, Any]], int]:
        """What comes before the end, and the close code."""
        frames: list[dict[str, Any]] = []
        while True:
            try:
                frames.append(await self.receive())
            except ConnectionError as error:
                return frames, cast(int, error.args[0])

    async def closed(self) -> int:
        """Read to the end; the close code."""
        return (await self.rest())[1]


class SseClient:
    """Reads as the WHATWG standard says, and bears nothing that it would pass over."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.parser = Parser(strict=True)
        self._blocks: deque[Block] = deque()
        self.last_id = ""
        """Of the last block that was returned."""

    @property
    def comments(self) -> list[str]:
        return self.parser.comments

    @property
    def retry(self) -> int | None:
        return self.parser.retry

    async def block(self) -> dict[str, str]:
        """What was said up to the next empty line. Raises EOFError at the end."""
        while not self._blocks:
            chunk = await asyncio.wait_for(self.response.content.readany(), DEADLINE)
            if not chunk:
                raise EOFError
            self._blocks += self.parser.feed(chunk)
        block = self._blocks.popleft()
        self.last_id = block.last_event_id
        said = {} if block.data is None else {"event": block.type, "data": block.data}
        return {"id": block.last_event_id, **said}

    async def event(self) -> tuple[str, Any]:
        """The next event: its type and its data."""
        while True:
            fields = await self.block()
            if "data" in fields:
                return fields["event"], json.loads(fields["data"])


def envelope_of(
    type: str, data: dict[str, Any], *, org: str | None = ORG, actor: str | None = None, **more: Any
) -> Envelope:
    return Envelope(
        id=new_id("evt"),
        source=f"/grid8/{type.partition('.')[0]}",
        type=type,
        time=now(),
        data=data,
        org=org,
        actor=actor,
        **more,
    )


def envelope(event: Event, *, org: str | None = ORG, actor: str | None = None) -> Envelope:
    subject = str(getattr(event, event.subject))
    data = event.model_dump(mode="json")
    return envelope_of(event.wire, data, org=org, actor=actor, subject=subject)
