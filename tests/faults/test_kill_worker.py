"""kill -9 of a worker with its hands full: what was accepted happens, once, and is seen live."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from bus import streams
from infra.embedded.running import RunningStack
from infra.embedded.stack import running_stack

KILLS = 4
SENT = 240
DEADLINE = 60.0


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    env = {
        "GRID8_AUTH__BCRYPT_COST": "4",
        "GRID8_WORKER__CLAIM_AFTER": "2",
        "GRID8_WORKER__HEARTBEAT": "0.5",
        "GRID8_RELAY__GRACE": "1",
        "GRID8_UP__MONGO_CACHE_GB": "0.25",
    }
    async with running_stack(tmp_path_factory.mktemp("kill"), env=env) as running:
        yield running


class Caller:
    """A signed-in owner of an organization."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url = http, url
        self.headers: dict[str, str] = {}

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.http.post(
            self.url + path, json=body, headers={**self.headers, **headers}
        ) as response:
            return response.status, await response.json(content_type=None)

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path, headers=self.headers) as response:
            return response.status, await response.json(content_type=None)

    async def settle_in(self) -> str:
        person = {"email": f"{secrets.token_hex(4)}@example.org", "password": secrets.token_hex(9)}
        await self.post("/v1/auth/register", {**person, "name": "Kay"})
        _, tokens = await self.post("/v1/auth/sessions", person)
        self.headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        status, org = await self.post("/v1/orgs", {"name": "Kill"})
        assert status == 201, org
        return str(org["id"])


async def until(reached: Any, what: str) -> None:
    """Wait for a condition, or fail saying what it was."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not await reached():  # noqa: ASYNC110 - another process makes it true
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not within {DEADLINE:g} s: {what}")


async def watch(caller: Caller, org: str, seen: Counter[str]) -> None:
    """Count the brands whose creation is shown on a socket."""
    _, ticket = await caller.post(f"/v1/orgs/{org}/realtime/tickets")
    async with caller.http.ws_connect(f"{ticket['ws_url']}?ticket={ticket['ticket']}") as socket:
        await socket.send_json({"op": "subscribe", "channel": "org"})
        async for message in socket:
            frame = message.json()
            if frame["op"] == "subscribed":
                seen["subscribed"] += 1
            if frame["op"] == "event" and frame["event"]["type"] == "corp.brand.created":
                seen[frame["event"]["data"]["name"]] += 1


async def test_a_killed_worker_loses_nothing_doubles_nothing_and_the_socket_sees_it_all(
    stack: RunningStack,
) -> None:
    async with aiohttp.ClientSession() as http:
        caller = Caller(http, stack.gateway_url)
        org = await caller.settle_in()
        seen: Counter[str] = Counter()
        watching = asyncio.create_task(watch(caller, org, seen))

        async def subscribed() -> bool:
            return seen["subscribed"] == 1

        await until(subscribed, "the socket is subscribed")

        async def send(number: int) -> tuple[str, int, Any]:
            name = f"brand {number}"
            hurry = {"Prefer": "respond-async"} if number % 2 else {}
            status, body = await caller.post(f"/v1/orgs/{org}/brands", {"name": name}, **hurry)
            return name, status, body

        answers: list[tuple[str, int, Any]] = []
        for kill in range(KILLS):
            first = kill * SENT // KILLS
            sending = [asyncio.create_task(send(first + index)) for index in range(SENT // KILLS)]
            done, _ = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
            assert done
            stack.kill("worker-corp")  # with most of them in its hands
            answers += await asyncio.gather(*sending)
            await stack.restarted("worker-corp")

        accepted = {name: body for name, status, body in answers if status in (201, 202)}
        assert len(accepted) == SENT, Counter(status for _, status, _ in answers)

        async def all_seen() -> bool:
            return all(seen[name] for name in accepted)

        await until(all_seen, "every creation is shown on the socket")
        for name, status, body in answers:
            if status == 202:
                _, view = await caller.get(body["status_url"])
                assert view["status"] == "succeeded", (name, view)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    assert {name: seen[name] for name in accepted} == dict.fromkeys(accepted, 1)
    await check_the_stores(stack, org, set(accepted))


async def check_the_stores(stack: RunningStack, org: str, names: set[str]) -> None:
    """One document and one event each; nothing pending, nothing dead, nothing to publish."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(stack.mongo_url)
    database = client["grid8"]
    brands = await database["brands"].find({"organization_id": org}).to_list()
    events = await database["events"].find({"org": org, "type": "corp.brand.created"}).to_list()
    assert Counter(brand["name"] for brand in brands) == Counter(names)
    assert Counter(event["data"]["name"] for event in events) == Counter(names)

    async with Redis.from_url(stack.redis_url) as redis:

        async def nothing_left() -> bool:
            groups = [
                group
                for stream in (streams.commands("corp"), streams.events("corp"))
                for group in await redis.xinfo_groups(stream)
            ]
            waiting = await database["outbox"].count_documents({})
            return waiting == 0 and not any(group["pending"] or group["lag"] for group in groups)

        await until(nothing_left, "pending lists and outbox are empty")
        assert not await redis.exists(streams.dead("corp"))
    await client.close()


async def test_a_worker_that_is_told_to_stop_finishes_and_exits_with_zero(
    stack: RunningStack,
) -> None:
    async with aiohttp.ClientSession() as http:
        caller = Caller(http, stack.gateway_url)
        org = await caller.settle_in()
        sending = [
            asyncio.create_task(caller.post(f"/v1/orgs/{org}/brands", {"name": f"drain {number}"}))
            for number in range(60)
        ]
        await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        import signal

        stack.kill("worker-corp", signal.SIGTERM)
        answers = await asyncio.gather(*sending)
        assert Counter(status for status, _ in answers) == {201: 60}
        await stack.restarted("worker-corp")
    log = Path(stack.logs, "worker-corp.log").read_text()
    assert "draining" in log
    assert "stopped" in log
