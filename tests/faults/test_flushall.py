"""FLUSHALL under load: what was answered is true, and every event still reaches everybody once.

Redis keeps the sessions too, so everybody is signed out by it; the callers sign in again. Only
the session of the socket is put back in the same step, so that the socket lives on and can
tell what it is shown twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from bus import streams
from handlers.topology import command_groups, event_groups
from infra.embedded.running import RunningStack
from infra.embedded.stack import running_stack

DEADLINE = 40.0
CALLERS = 8
FLUSHES = 2
BEFORE, AFTER = 120, 80
"""Answers before the first flush and after each."""
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="24">'
    b'<rect width="32" height="24" fill="#%s"/></svg>'
)


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    env = {
        "GRID8_AUTH__BCRYPT_COST": "4",
        "GRID8_AUTH__SESSION_CACHE": "0",
        "GRID8_GATEWAY__REPLY_TIMEOUT": "3",
        "GRID8_WORKER__CLAIM_AFTER": "2",
        "GRID8_WORKER__HEARTBEAT": "0.5",
        "GRID8_RELAY__GRACE": "1",
        "GRID8_RELAY__INTERVAL": "0.3",
        "GRID8_UP__MONGO_CACHE_GB": "0.25",
        "GRID8_ASSETS__FREE_DISK": "0",
    }
    async with running_stack(tmp_path_factory.mktemp("flushall"), env=env) as running:
        yield running


async def until(reached: Callable[[], Awaitable[Any]], what: str) -> None:
    """Wait for a condition, or fail saying what it was and what was seen last."""
    seen: Any = None
    try:
        async with asyncio.timeout(DEADLINE):
            while (seen := await reached()) is not True:  # noqa: ASYNC110 - others make it true
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not within {DEADLINE:g} s: {what} (seen: {seen!r})")


@dataclass
class Person:
    """Somebody who signs in again when the session is gone."""

    http: aiohttp.ClientSession
    url: str
    credentials: dict[str, str]
    token: str = ""
    session: str = ""
    signing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def sign_in(self, instead_of: str = "") -> None:
        async with self.signing:
            if self.token != instead_of:
                return
            status, tokens = 0, {}
            while status != 201:
                status, tokens = await self.send(
                    "POST", "/v1/auth/sessions", json=self.credentials, signed=False
                )
                assert status in (201, 503), tokens
            self.token, self.session = tokens["access_token"], tokens["session_id"]

    async def send(
        self, method: str, path: str, *, signed: bool = True, headers: Any = None, **more: Any
    ) -> tuple[int, Any]:
        """One request; signs in again and repeats it when it was refused for that."""
        token = self.token
        given = {"Authorization": f"Bearer {token}"} if signed else {}
        async with self.http.request(
            method, self.url + path, headers={**given, **(headers or {})}, **more
        ) as response:
            status, body = response.status, await response.json(content_type=None)
        if signed and status == 401:
            await self.sign_in(instead_of=token)
            return await self.send(method, path, headers=headers, **more)
        return status, body

    async def settle(self, status: int, body: Any) -> tuple[str, Any]:
        """How a write ended: done, lost or unknown."""
        if status == 202 and "status_url" in body:
            view: Any = {}

            async def over() -> Any:
                nonlocal view
                code, view = await self.send("GET", body["status_url"])
                return (code == 200 and view["status"] != "pending") or (code, view)

            await until(over, "the command comes to an end")
            if view["status"] == "succeeded":
                return "done", view["result"]
            assert view["problem"]["code"] == "command_lost", view
            return "lost", None
        if status in (201, 202):
            return "done", body
        assert status == 503, (status, body)
        return ("lost" if body["code"] == "command_lost" else "unknown"), None


async def new_person(http: aiohttp.ClientSession, url: str) -> Person:
    credentials = {
        "email": f"{secrets.token_hex(6)}@example.org",
        "password": "correct-horse-battery-9",
    }
    person = Person(http, url, credentials)
    body = {**credentials, "name": "Kay"}
    assert (await person.send("POST", "/v1/auth/register", json=body, signed=False))[0] == 202
    await person.sign_in()
    return person


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
async def redis(stack: RunningStack) -> AsyncIterator[Redis]:
    async with Redis.from_url(stack.redis_url) as client:
        yield client


@pytest.fixture
async def database(stack: RunningStack) -> AsyncIterator[Any]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(stack.mongo_url)
    yield client["grid8"]
    await client.close()


async def flush(redis: Redis, session: str) -> None:
    """FLUSHALL, and one session back in the same step."""
    kept = await redis.hgetall(f"grid8:session:{session}")
    assert kept
    async with redis.pipeline(transaction=True) as pipe:
        pipe.flushall()
        pipe.hset(f"grid8:session:{session}", mapping=kept)
        await pipe.execute()


class Socket:
    """Counts what it is shown of an organization."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.subscribed = asyncio.Event()
        self.open = True

    async def watch(self, person: Person, org: str) -> None:
        _, ticket = await person.send("POST", f"/v1/orgs/{org}/realtime/tickets")
        url = f"{ticket['ws_url']}?ticket={ticket['ticket']}"
        async with person.http.ws_connect(url) as socket:
            await socket.send_json({"op": "subscribe", "channel": "org"})
            async for message in socket:
                frame = message.json()
                if frame["op"] == "subscribed":
                    self.subscribed.set()
                elif frame["op"] == "event":
                    self.seen[frame["event"]["id"]] += 1
        self.open = False


class Load:
    """Creates until it is told to stop."""

    def __init__(self, person: Person, org: str) -> None:
        self.person = person
        self.org = org
        self.answers: list[tuple[str, str, int, Any]] = []
        self.stopping = False
        self.number = 0

    async def run(self) -> None:
        while not self.stopping:
            self.number += 1
            kind = ("brand", "brand later", "person", "brand with key", "asset")[self.number % 5]
            name = f"{kind} {self.number}"
            status, body = await self.one(kind, name)
            self.answers.append((kind, name, status, body))

    async def one(self, kind: str, name: str) -> tuple[int, Any]:
        person, brands = self.person, f"/v1/orgs/{self.org}/brands"
        if kind == "person":
            body = {
                "email": f"{name.replace(' ', '.')}@example.com",
                "name": name,
                "password": "correct-horse-battery-9",
            }
            return await person.send("POST", "/v1/auth/register", json=body, signed=False)
        if kind == "asset":
            return await person.send(
                "POST",
                f"/v1/orgs/{self.org}/assets?filename={name.replace(' ', '-')}.svg",
                data=SVG % secrets.token_hex(3).encode(),
                headers={"Content-Type": "image/svg+xml"},
            )
        headers = {
            "brand": {},
            "brand later": {"Prefer": "respond-async"},
            "brand with key": {"Idempotency-Key": name.replace(" ", "-")},
        }[kind]
        return await person.send("POST", brands, json={"name": name}, headers=headers)

    async def answered(self, count: int) -> None:
        async def enough() -> Any:
            return len(self.answers) >= count or len(self.answers)

        await until(enough, f"{count} answers")


async def test_a_flush_under_load_makes_no_answer_false_and_no_event_late_or_double(
    stack: RunningStack, http: aiohttp.ClientSession, redis: Redis, database: Any
) -> None:
    watcher = await new_person(http, stack.gateway_url)
    _, made = await watcher.send("POST", "/v1/orgs", json={"name": "Flush"})
    org = made["id"]
    caller = Person(http, stack.gateway_url, watcher.credentials)
    await caller.sign_in()
    socket = Socket()
    watching = asyncio.create_task(socket.watch(watcher, org))
    await asyncio.wait_for(socket.subscribed.wait(), 10)
    load = Load(caller, org)
    running = [asyncio.create_task(load.run()) for _ in range(CALLERS)]
    await load.answered(BEFORE)
    for flushes in range(1, FLUSHES + 1):
        await flush(redis, watcher.session)
        await load.answered(BEFORE + flushes * AFTER)
    load.stopping = True
    await asyncio.gather(*running)
    ends = [
        (kind, name, *await caller.settle(status, body))
        for kind, name, status, body in load.answers
    ]
    count = Counter(end for _, _, end, _ in ends)
    assert count["done"] > 0.7 * len(ends), count

    await check_documents(database, org, ends)
    await check_everybody_saw_everything(database, org, socket)
    await check_nothing_is_left(stack, redis, database)
    await check_assets_are_made(caller, org, ends)
    assert socket.open
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


async def check_documents(database: Any, org: str, ends: list[tuple[str, str, str, Any]]) -> None:
    """What is done is there once, what is lost is not, the rest is there once or not."""
    brands = Counter(
        each["name"] for each in await database["brands"].find({"organization_id": org}).to_list()
    )
    users = Counter(each["name"] for each in await database["users"].find().to_list())
    assets = Counter(
        each["_id"] for each in await database["assets"].find({"organization_id": org}).to_list()
    )
    for kind, name, end, result in ends:
        if kind == "asset":
            there = assets[result["id"]] if end == "done" else 0
        else:
            there = (users if kind == "person" else brands)[name]
        assert there == {"done": 1, "lost": 0}.get(end, min(there, 1)), (kind, name, end)
    assert sum(assets.values()) <= sum(kind == "asset" for kind, *_ in ends)
    assert set(brands) <= {name for kind, name, *_ in ends if kind.startswith("brand")}
    events = await database["events"].find({"org": org, "type": "corp.brand.created"}).to_list()
    assert Counter(each["data"]["name"] for each in events) == brands


async def check_everybody_saw_everything(database: Any, org: str, socket: Socket) -> None:
    """The reaction keeps a person per user; the socket was shown each event once."""

    async def remembered() -> Any:
        users = {each["_id"] for each in await database["users"].find().to_list()}
        people = {each["_id"] for each in await database["corp_people"].find().to_list()}
        return users == people or users ^ people

    await until(remembered, "corp remembers every user")
    wanted = {"org": org, "type": {"$in": ["corp.brand.created", "asset.asset.uploaded"]}}

    async def shown() -> Any:
        logged = {each["_id"] for each in await database["events"].find(wanted).to_list()}
        return logged <= set(socket.seen) or len(logged - set(socket.seen))

    await until(shown, "the socket is shown every event")
    twice = {id: count for id, count in socket.seen.items() if count > 1}
    assert not twice


async def check_nothing_is_left(stack: RunningStack, redis: Redis, database: Any) -> None:
    async def nothing() -> Any:
        left: Any = {}
        for stream, group in (*command_groups(), *event_groups()):
            for each in await redis.xinfo_groups(stream):
                if each["name"].decode() == group and (each["pending"] or each["lag"]):
                    left[stream, group] = each["pending"], each["lag"]
        if waiting := await database["outbox"].count_documents({}):
            left["outbox"] = waiting
        return left if left else True

    await until(nothing, "pending lists and outbox are empty")
    for domain in ("auth", "corp", "asset", "notifier"):
        assert not await redis.exists(streams.dead(domain))


async def check_assets_are_made(
    caller: Person, org: str, ends: list[tuple[str, str, str, Any]]
) -> None:
    """The commands that handlers sent each other were not lost either."""
    made = [result["id"] for kind, _, end, result in ends if kind == "asset" and end == "done"]
    assert made

    async def ready() -> Any:
        views = [(await caller.send("GET", f"/v1/orgs/{org}/assets/{id}"))[1] for id in made]
        states = Counter(view.get("status") for view in views)
        return states == {"ready": len(made)} or states

    await until(ready, "every asset is processed")


async def test_a_command_that_is_lost_fails_for_good(
    stack: RunningStack, http: aiohttp.ClientSession, redis: Redis, database: Any
) -> None:
    owner = await new_person(http, stack.gateway_url)
    other = await new_person(http, stack.gateway_url)
    _, made = await owner.send("POST", "/v1/orgs", json={"name": "Lost"})
    brands = f"/v1/orgs/{made['id']}/brands"
    await stack.hold("worker-corp")
    try:
        later = {"Prefer": "respond-async"}
        _, accepted = await owner.send("POST", brands, json={"name": "later"}, headers=later)
        code, view = await owner.send("GET", accepted["status_url"])
        assert (code, view["status"]) == (200, "pending")
        assert (await other.send("GET", accepted["status_url"]))[0] == 404
        key = {"Idempotency-Key": "one"}
        waiting = asyncio.create_task(
            owner.send("POST", brands, json={"name": "at once"}, headers=key)
        )

        async def two_wait() -> bool:
            return await redis.xlen(streams.commands("corp")) >= 2 and bool(
                [each async for each in redis.scan_iter("grid8:idempotency:*")]
            )

        await until(two_wait, "both commands wait")
        await redis.flushall()
        assert (await other.send("GET", accepted["status_url"]))[0] == 404, "it is none of theirs"
        code, view = await owner.send("GET", accepted["status_url"])
        assert (code, view["status"]) == (200, "failed")
        assert view["problem"]["code"] == "command_lost"
        status, problem = await waiting
        assert (status, problem["code"]) == (503, "command_lost")
        unheard = "/v1/commands/cmd_" + "0" * 46
        assert (await owner.send("GET", unheard))[0] == 404
    finally:
        await stack.release("worker-corp")
    status, _ = await owner.send("POST", brands, json={"name": "at once"}, headers=key)
    assert status == 201, "the key is free for another try"
    _, view = await owner.send("GET", accepted["status_url"])
    assert view["status"] == "failed"
    names = [each["name"] for each in await database["brands"].find().to_list()]
    assert names.count("at once") == 1
    assert names.count("later") == 0
