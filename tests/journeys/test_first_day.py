"""A first day with Grid8, and a search for secrets in everything it left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pyvips
from gateway_client import Api, new_person
from gateway_stack import ROLES, eventually
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from infra.embedded.running import RunningStack


class Listener:
    """One realtime connection, and the events it has heard."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def types(self) -> list[str]:
        return [each["type"] for each in self.events]

    async def heard(self, *types: str) -> bool:
        return set(types) <= set(self.types())


@contextlib.asynccontextmanager
async def websocket(
    http: aiohttp.ClientSession, ticket: dict[str, Any], *channels: str
) -> AsyncIterator[Listener]:
    listener = Listener()
    async with http.ws_connect(f"{ticket['ws_url']}?ticket={ticket['ticket']}") as socket:
        for channel in channels:
            await socket.send_json({"op": "subscribe", "channel": channel})
            answer = await socket.receive_json(timeout=10)
            while answer["op"] == "event":
                listener.events.append(answer["event"])
                answer = await socket.receive_json(timeout=10)
            assert answer["op"] == "subscribed", answer
            assert answer["channel"] == channel

        async def read() -> None:
            async for message in socket:
                frame = json.loads(message.data)
                if frame["op"] == "event":
                    listener.events.append(frame["event"])

        reading = asyncio.create_task(read())
        yield listener
        reading.cancel()


@contextlib.asynccontextmanager
async def sse(
    http: aiohttp.ClientSession, ticket: dict[str, Any], *channels: str
) -> AsyncIterator[Listener]:
    listener = Listener()
    query = "".join(f"&channel={quote(channel)}" for channel in channels)
    url = f"{ticket['sse_url']}?ticket={ticket['ticket']}{query}"
    async with http.get(url, timeout=aiohttp.ClientTimeout(total=None)) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"].startswith("text/event-stream")

        async def read() -> None:
            async for line in response.content:
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    if "specversion" in event:
                        listener.events.append(event)

        reading = asyncio.create_task(read())
        yield listener
        reading.cancel()


async def test_a_first_day(
    api: Api, http: aiohttp.ClientSession, stack: RunningStack, servers: RunningStack
) -> None:
    passwords = {who: f"{who}-Pa55-{secrets.token_hex(9)}" for who in ("olga", "mario", "wrong")}
    secret: list[str] = list(passwords.values())

    # Register, sign in, and make something to work in.
    olga = await new_person(api, "Olga", passwords["olga"])
    mario = await new_person(api, "Mario", passwords["mario"])
    for person in (olga, mario):
        secret += [person.tokens["access_token"], person.tokens["refresh_token"]]
    wrong = await api.post(
        "/v1/auth/sessions", {"email": olga.email, "password": passwords["wrong"]}
    )
    assert wrong.is_problem(401)["code"] == "auth.credentials_wrong"
    org = await olga.api.post("/v1/orgs", {"name": "Olga & Co"})
    assert org.status == 201
    home = org.headers["Location"]
    brand = await olga.api.post(f"{home}/brands", {"name": "Sunrise"})
    project = await olga.api.post(
        f"{home}/projects", {"name": "Spring", "brand_id": brand.json["id"]}
    )
    assert (brand.status, project.status) == (201, 201)
    channel = f"project:{project.json['id']}"

    # Listen, upload, and hear of it on every channel and both transports.
    tickets = [(await olga.api.post(f"{home}/realtime/tickets")).json for _ in range(3)]
    assert all(each.keys() == {"ticket", "expires_in", "ws_url", "sse_url"} for each in tickets)
    secret += [each["ticket"] for each in tickets]
    async with (
        websocket(http, tickets[0], "org", channel, "me") as over_ws,
        sse(http, tickets[1], "org", channel) as over_sse,
    ):
        made = await olga.api.post(
            f"{home}/assets?filename=quarters.png&project_id={project.json['id']}",
            data=photo(),
            headers={"Content-Type": "image/png"},
        )
        assert made.status == 201, str(made)
        asset = made.json["id"]
        for listener in (over_ws, over_sse):
            await eventually(
                lambda heard=listener: heard.heard("asset.asset.uploaded", "asset.asset.ready"),
                within=30,
            )
            about = [event for event in listener.events if event["subject"] == asset]
            assert [event["type"] for event in about if event["type"].endswith("uploaded")]
            assert {event["org"] for event in about} == {org.json["id"]}
        ids = [event["id"] for event in over_sse.events]
        # Two channels carry the event: once on each of them, never more.
        assert all(ids.count(id) <= 2 for id in ids)

        # What is ready can be fetched, and is what was uploaded.
        view = (await olga.api.get(made.headers["Location"])).json
        assert (view["status"], view["width"], view["height"]) == ("ready", 900, 600)
        assert len(view["renditions"]) >= 2
        for rendition in view["renditions"]:
            file = await api.get(rendition["url"])
            assert file.status == 200
            image = pyvips.Image.new_from_buffer(file.body, "")
            assert (image.width, image.height) == (rendition["width"], rendition["height"])
            red, green, _ = image.getpoint(image.width // 4, image.height // 4)[:3]
            assert red > 150 > green, "the upper left quarter is red"
        assert (await api.get(view["url"])).body == photo()

        # A colleague comes, changes roles, and goes.
        added = await olga.api.post(
            f"{home}/members", {"email": mario.email.upper(), "role": "editor"}
        )
        assert (added.status, added.json["role"]) == (201, "editor")
        theirs = (await mario.api.get("/v1/me")).json["memberships"]
        assert [(each["name"], each["role"]) for each in theirs] == [("Olga & Co", "editor")]
        assert (await mario.api.patch(made.headers["Location"], {"tags": ["hero"]})).status == 200
        member = f"{home}/members/{mario.id}"
        assert (await olga.api.patch(member, {"role": "viewer"})).status == 200
        (await mario.api.patch(made.headers["Location"], {"tags": []})).is_problem(403)
        await eventually(
            lambda: over_ws.heard("corp.member.added", "corp.member.changed", "asset.asset.updated")
        )
        assert (await olga.api.delete(member)).status == 204
        (await mario.api.get(home)).is_problem(404)
        refused = await mario.api.post(f"{home}/realtime/tickets")
        refused.is_problem(404)

    # A ticket opens one connection.
    async with http.get(
        f"{tickets[0]['sse_url']}?ticket={tickets[0]['ticket']}&channel=org"
    ) as used:
        assert 400 <= used.status < 500

    # Tokens are exchanged; signing out ends everything within five seconds.
    refreshed = await api.post(
        "/v1/auth/sessions/refresh", {"refresh_token": olga.tokens["refresh_token"]}
    )
    assert refreshed.status == 201
    secret += [refreshed.json["access_token"], refreshed.json["refresh_token"]]
    again = api.as_(refreshed.json["access_token"])
    assert (await again.get("/v1/me")).json["email"] == olga.email
    session = refreshed.json["session_id"]
    async with websocket(http, tickets[2], "org"):
        assert (await again.delete(f"/v1/auth/sessions/{session}")).status == 204
        await eventually(lambda: again.get("/v1/me"), lambda a: a.status == 401, within=5)
    for each in (olga.api, again):
        (await each.get(home)).is_problem(401)
    late = await api.post(
        "/v1/auth/sessions/refresh", {"refresh_token": refreshed.json["refresh_token"]}
    )
    late.is_problem(401)

    # A worker that is killed in the middle of it does not lose what it was told.
    await killed_at_work(api, stack)

    await assert_nowhere(secret, olga.email, stack, servers)


def photo() -> bytes:
    """900 × 600 pixels: red, green, blue and white quarters."""
    quarters = []
    for colour in ([220, 30, 30], [30, 180, 60], [40, 60, 200], [250, 250, 250]):
        image = pyvips.Image.black(450, 300, bands=3) + colour
        quarters.append(image.cast("uchar").copy(interpretation="srgb"))
    joined = pyvips.Image.arrayjoin(quarters, across=2)
    data: bytes = joined.write_to_buffer(".png")
    return data


async def killed_at_work(api: Api, stack: RunningStack) -> None:
    person = await new_person(api, "Persistent")
    home = (await person.api.post("/v1/orgs", {"name": "Persistent"})).headers["Location"]
    stack.kill("workers")
    sent = await asyncio.gather(
        *(
            person.api.post(
                f"{home}/brands", {"name": f"b{n}"}, headers={"Prefer": "respond-async"}
            )
            for n in range(20)
        )
    )
    assert {each.status for each in sent} == {202}
    await stack.restarted("workers")
    for each in sent:
        url = each.json["status_url"]
        done = await eventually(
            lambda u=url: person.api.get(u), lambda a: a.json["status"] != "pending", within=40
        )
        assert done.json["status"] == "succeeded"
    listed = await person.api.get(f"{home}/brands?limit=200")
    assert sorted(each["name"] for each in listed.json["items"]) == sorted(
        f"b{n}" for n in range(20)
    )


# --- the search --------------------------------------------------------------------------


async def everything_in_redis(redis: Redis) -> AsyncIterator[tuple[str, bytes]]:
    """Every key with all it holds, of whatever type."""
    async for key in redis.scan_iter(count=1000):
        kind = await redis.type(key)
        value: Any
        match kind:
            case b"string":
                value = await redis.get(key)
            case b"hash":
                value = await redis.hgetall(key)
            case b"list":
                value = await redis.lrange(key, 0, -1)
            case b"set":
                value = await redis.smembers(key)
            case b"zset":
                value = await redis.zrange(key, 0, -1, withscores=True)
            case b"stream":
                value = await redis.xrange(key)
            case b"none":
                continue  # it has expired since
            case _:
                raise AssertionError(f"{key!r} is of the unknown type {kind!r}")
        yield (
            key.decode(),
            key + b" " + repr(value).encode() + (value if isinstance(value, bytes) else b""),
        )


async def assert_nowhere(
    secret: list[str], known: str, stack: RunningStack, servers: RunningStack
) -> None:
    """No secret is anywhere; ``known``, which is no secret, shows that the search finds things."""
    wanted = {each: [each.encode(), quote(each, safe="").encode()] for each in secret}
    for each in secret:
        if each.count(".") == 2:  # of a token, its signature or MAC is the secret part
            wanted[each].append(each.rpartition(".")[2].encode())
    looked: dict[str, int] = {"redis": 0, "aof": 0, "mongodb": 0, "logs": 0}
    found: list[str] = []
    seen: set[str] = set()

    def look(where: str, name: str, content: bytes) -> None:
        looked[where] += 1
        if known.encode() in content:
            seen.add(where)
        for each, forms in wanted.items():
            if any(form in content for form in forms):
                found.append(f"{each[:14]}… in {where} {name}")

    async with Redis.from_url(stack.redis_url) as redis:
        async for key, content in everything_in_redis(redis):
            look("redis", key, content)
    for path in (servers.layout.folder / "valkey").rglob("*"):
        if path.is_file():
            look("aof", path.name, path.read_bytes())
    async with AsyncMongoClient(stack.mongo_url) as client:
        database = client["gateway_tests"]
        for name in await database.list_collection_names():
            async for document in database[name].find():
                look("mongodb", f"{name} {document['_id']}", repr(document).encode())
        users = [user async for user in database["users"].find({}, {"password_hash": 1})]
        assert users
        assert all(user["password_hash"].startswith("$2b$") for user in users)
    for folder in (stack.logs, servers.logs):
        for path in folder.rglob("*.log"):
            look("logs", path.name, path.read_bytes())
    assert looked["redis"] > 10, looked
    assert looked["aof"] >= 2, looked
    assert looked["mongodb"] > 50, looked
    assert looked["logs"] >= 4, looked
    assert seen >= {"redis", "aof", "mongodb"}, seen
    assert not found, "\n".join(found[:50])


def test_the_search_looks_where_the_stack_writes(stack: RunningStack) -> None:
    assert "workers" in {path.stem for path in Path(stack.logs).glob("*.log")}
    assert set(ROLES) >= {"auth", "corp", "asset"}
