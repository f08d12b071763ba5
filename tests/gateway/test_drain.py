"""What a stopping gateway has begun it finishes, also where a body is still arriving."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
from pathlib import Path

import aiohttp
from gateway_client import Answer, Api, Tenant, new_person
from gateway_stack import QUICK, eventually, few_processes
from own_gateway import own_gateway
from raw_http import RawAnswer

from infra.embedded.child import Process
from infra.embedded.running import RunningStack
from infra.embedded.stack import Stack, running_stack


async def refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return True
    writer.close()
    return False


async def begin(
    port: int, tenant: Tenant, size: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """An upload whose body the gateway waits for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST /v1/orgs/{tenant.org}/assets?filename=a.txt HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {tenant.owner.api.token}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {size}\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    async with asyncio.timeout(30):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    return reader, writer


async def test_an_upload_that_is_arriving_is_taken_whole_and_nothing_new_is(
    stack: RunningStack, api: Api, alpha: Tenant, tmp_path: Path
) -> None:
    settings = {"GRID8_GATEWAY__DRAIN_GRACE": "60"}
    async with own_gateway(stack, tmp_path / "log", **settings) as (process, port):
        idle_reader, idle = await asyncio.open_connection("127.0.0.1", port)
        idle.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(30):
            assert b" 200 " in await idle_reader.readline()
        body = os.urandom(200_000).hex().encode()
        reader, writer = await begin(port, alpha, len(body))
        writer.write(body[:100_000])
        await writer.drain()
        process.send_signal(signal.SIGTERM)
        await eventually(lambda: refuses(port), within=30)
        async with asyncio.timeout(30):
            await idle_reader.read()  # an idle connection is closed at once
        for at in range(100_000, len(body), 100_000):
            writer.write(body[at : at + 100_000])
            await writer.drain()
        async with asyncio.timeout(60):
            answer = RawAnswer(await reader.read())
            assert await process.wait() == 0
    log = (tmp_path / "log").read_text()
    assert answer.status == 201, f"{answer.raw[:500]!r}\n{log[-3000:]}"
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.body)["bytes"] == len(body)
    path = f"/v1/orgs/{alpha.org}/assets/{json.loads(answer.body)['id']}"
    assert (await alpha.owner.api.get(path)).status == 200


async def test_a_body_that_never_ends_is_cut_when_the_grace_is_over(
    stack: RunningStack, alpha: Tenant, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    settings = {"GRID8_GATEWAY__DRAIN_GRACE": "0.5"}
    async with own_gateway(stack, tmp_path / "log", **settings) as (process, port):
        reader, writer = await begin(port, alpha, 1000)
        writer.write(b"some")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
            with contextlib.suppress(ConnectionError):
                assert b" 201 " not in await reader.read()


async def test_a_stack_that_stops_answers_every_write_it_has_taken(
    servers: RunningStack, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The gateway goes first, so that no write waits for a worker that has gone before it."""
    env = {
        **QUICK,
        "GRID8_GATEWAY__DRAIN_GRACE": "30",
        "GRID8_MONGO__URL": servers.mongo_url,
        "GRID8_MONGO__DATABASE": "stopping",
        "GRID8_REDIS__URL": servers.redis_url.removesuffix("/0") + "/6",
    }

    def processes(stack: Stack) -> list[Process]:
        return few_processes(stack, roles=("auth", "corp"))

    said: list[str] = []
    stack = running_stack(tmp_path, env=env, processes=processes, say=said.append)
    await stack.start()
    try:
        owner = (await new_person(Api(http, stack.gateway_url), "Stopping")).api
        home = (await owner.post("/v1/orgs", {"name": "Stopping"})).headers["Location"]
        answers: list[Answer] = []

        async def write() -> None:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                while True:
                    answers.append(
                        await owner.post(f"{home}/brands", {"name": secrets.token_hex(8)})
                    )

        writers = [asyncio.create_task(write()) for _ in range(64)]

        async def many() -> bool:
            return len(answers) > 200

        await eventually(many, within=60)
    finally:
        await stack.stop()
    await asyncio.gather(*writers)
    assert {answer.status for answer in answers} == {201}, str(answers[-1])
    # One that waited in vain would have kept the gateway until it was killed.
    assert not [line for line in said if "killed" in line], said
