"""So many sockets a user, an organization and a notifier may have, counted over all notifiers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from lone_notifier import Lone
from notifier_stage import ORG, USER, Server, Stage, until

from infra.tickets import WS_PATH

Make = Callable[..., Awaitable[Stage]]


async def refusal(stage: Stage, user: str = USER, org: str = ORG, *, at: int = 0) -> dict[str, Any]:
    """The problem that a handshake of a WebSocket is answered; {} when it is let in."""
    url = f"{stage.urls[at]}{WS_PATH}?ticket={await stage.ticket(user, org)}"
    handshake = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with stage.client.get(url, headers=handshake) as response:
        if response.status == 101:
            return {}
        assert response.status == 429
        assert int(response.headers["Retry-After"]) == 5
        problem: dict[str, Any] = await response.json()
        return problem


async def counts(stage: Stage, scope: str) -> int:
    return sum(map(int, await stage.redis.hvals(f"grid8:{{sockets:{scope}}}")))


async def until_counted(stage: Stage, scope: str, number: int) -> None:
    async def counted() -> bool:
        return await counts(stage, scope) == number

    await until(counted, f"{scope} has {number}")


async def test_a_user_has_so_many_sockets_over_all_notifiers_and_organizations(
    make_stage: Make,
) -> None:
    stage = await make_stage(sockets_per_user=3)
    await stage.add(sockets_per_user=3)
    async with stage.ws(at=0), stage.ws(at=1, org="org_2"), stage.sse("org", at=1) as third:
        await third.block()
        for at in (0, 1):
            problem = await refusal(stage, at=at)
            assert problem["code"] == "realtime.too_many_sockets"
            assert problem["detail"] == "You have 3 connections, and no more are allowed."
        async with stage.sse("org", at=0) as stream:
            assert stream.response.status == 429
            assert (await stream.response.json())["code"] == "realtime.too_many_sockets"
        assert await refusal(stage, "usr_2") == {}
    await until_counted(stage, f"user:{USER}", 0)
    async with stage.ws(at=1) as again:
        await again.subscribe()


async def test_an_organization_has_so_many_sockets_over_all_notifiers(make_stage: Make) -> None:
    stage = await make_stage(sockets_per_org=2)
    await stage.add(sockets_per_org=2)
    async with stage.ws("usr_a", at=0), stage.ws("usr_b", at=1):
        problem = await refusal(stage, "usr_c", at=0)
        assert problem["detail"] == "The organization has 2 connections, and no more are allowed."
        await until_counted(stage, "user:usr_c", 0)  # refused by one, it holds nothing of another
        async with stage.ws("usr_c", "org_2") as elsewhere:
            await elsewhere.subscribe()


async def test_a_notifier_has_so_many_sockets(make_stage: Make) -> None:
    stage = await make_stage(sockets=2)
    await stage.add()
    async with stage.ws("usr_a"), stage.ws("usr_b"):
        assert (await refusal(stage, "usr_c"))["code"] == "realtime.too_many_sockets"
        async with stage.ws("usr_c", at=1) as elsewhere:
            await elsewhere.subscribe()


async def test_notifiers_that_admit_at_once_never_exceed_a_limit(make_stage: Make) -> None:
    stage = await make_stage(sockets_per_user=10)
    await stage.add(sockets_per_user=10)
    async with AsyncExitStack() as stack:

        async def try_one(number: int) -> int:
            try:
                await stack.enter_async_context(stage.ws(at=number % 2))
            except aiohttp.WSServerHandshakeError as error:
                return error.status
            return 101

        await stage.session()
        answers = await asyncio.gather(*(try_one(number) for number in range(40)))
        assert sorted(answers) == [101] * 10 + [429] * 30
        assert await counts(stage, f"user:{USER}") == 10
    await until_counted(stage, f"user:{USER}", 0)


async def test_what_comes_to_no_connection_holds_nothing(stage: Stage) -> None:
    stage.denied.add((USER, "project:prj_1"))
    for channels, status in (((), 400), (("project:prj_1",), 404), (("org", "\x00"), 400)):
        async with stage.sse(*channels) as stream:
            assert stream.response.status == status
    async with stage.client.get(stage.urls[0] + WS_PATH + "?ticket=" + await stage.ticket()):
        pass
    for _ in range(3):
        async with stage.ws() as client:
            await client.subscribe()
    await until_counted(stage, f"user:{USER}", 0)
    await until_counted(stage, f"org:{ORG}", 0)

    async def forgotten() -> bool:
        return not [each async for each in stage.redis.scan_iter("grid8:{notifier:*:sockets")]

    await until(forgotten, "no connection is listed")


async def test_a_count_that_is_wrong_is_set_right(make_stage: Make) -> None:
    stage = await make_stage(sockets_per_user=3)
    [me] = await stage.redis.zrange("grid8:{notifiers}:alive", 0, -1)
    async with stage.ws():
        await stage.redis.hset(f"grid8:{{sockets:user:{USER}}}", me, 2)
        async with stage.ws():
            await until_counted(stage, f"user:{USER}", 2)


async def test_operators_see_who_is_connected(make_stage: Make) -> None:
    stage = await make_stage()
    await stage.add()
    async with stage.ws("usr_a"), stage.ws("usr_b", "org_2", at=1), stage.sse("org") as stream:
        await stream.block()
        found = await shown(stage, "--json")
        sockets = [(each["user"], each["org"], each["transport"]) for each in json.loads(found)]
        assert sorted(sockets) == [
            ("usr_1", "org_1", "sse"),
            ("usr_a", "org_1", "ws"),
            ("usr_b", "org_2", "ws"),
        ]
        assert len({each["notifier"] for each in json.loads(found)}) == 2
        text = await shown(stage, "--org", "org_2")
        assert "usr_b" in text
        assert "usr_a" not in text
        assert text.endswith("1 open (1 ws), of 1 users, at 1 notifiers\n")


async def shown(stage: Stage, *arguments: str) -> str:
    ran = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.grid8", "sockets", *arguments),
        cwd=Path(__file__).parents[3],
        env={**os.environ, "GRID8_REDIS__URL": stage.server.url},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(ran.communicate(), 60)
    assert ran.returncode == 0
    return out.decode()


@asynccontextmanager
async def lone(server: Server) -> AsyncIterator[Lone]:
    made = Lone(server.url)
    try:
        await until(made.answers, "the notifier serves", 60)
        yield made
    finally:
        made.kill()


@pytest.mark.slow
async def test_the_sockets_of_a_killed_notifier_are_free_within_five_seconds(
    make_stage: Make, flushed: Server
) -> None:
    async with lone(flushed) as killed:
        stage = await make_stage(sockets_per_user=2)
        stage.urls.append(killed.url)
        async with stage.ws(at=1), stage.ws(at=1):
            assert (await refusal(stage))["code"] == "realtime.too_many_sockets"
            killed.kill()
            at = asyncio.get_running_loop().time()

            async def let_in() -> bool:
                return await refusal(stage) == {}

            await until(let_in, "there is room")
            assert asyncio.get_running_loop().time() - at < 5
