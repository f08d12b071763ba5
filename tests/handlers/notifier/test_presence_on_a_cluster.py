"""What notifiers share lies in slots as Redis Cluster wants it: asked of a node that is one."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from notifier_stage import Server, Stage, until
from presence_view import View

from infra.embedded import valkey
from infra.presence import estates, notifiers, rosters


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Server]:
    """A cluster of one node: it refuses scripts whose keys lie in several slots, or are not named."""
    server = Server(tmp_path)
    command = [*valkey.command(valkey.find(), server.port, tmp_path), "--cluster-enabled", "yes"]
    server.process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await server.answers()
        async with server.client() as client:
            await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

            async def whole() -> bool:
                info = await client.execute_command("CLUSTER", "INFO")
                return "cluster_state:ok" in (info if isinstance(info, str) else str(info))

            await until(whole, "the cluster serves")
        yield server
    finally:
        server.kill()


async def test_presence_places_and_burials_work_on_a_cluster(node: Server) -> None:
    limits = {"presence_grace": 0.3, "sockets_per_user": 1}
    stage = Stage(node)
    try:
        await stage.add(**limits)
        await stage.add(**limits)
        async with stage.ws("usr_a") as a, stage.ws("usr_b", at=1) as b:
            await a.subscribe()
            await b.subscribe()
            view = View(a)
            await view.watch()
            await view.until("usr_a", "usr_b")
            with pytest.raises(aiohttp.WSServerHandshakeError):
                async with stage.ws("usr_b"):
                    pass
            await b.send(op="unsubscribe", channel="org")
            await view.until("usr_a")
            execute = stage.publisher.pipeline.execute_all
            ghost = notifiers.new_notifier()
            await notifiers.beat(execute, ghost, alive_for=0.5, first=True)
            await execute(
                [
                    estates.note(ghost, estates.roster("org_1/org"), estates.scope("user:usr_g")),
                    rosters.write("org_1/org", ghost, [("usr_g", 1, 1)]),
                ]
            )
            await view.until("usr_a", "usr_g")
            await view.until("usr_a")

            async def buried() -> bool:
                left = await stage.redis.exists(f"grid8:{{notifier:{ghost}}}:estate")
                return not left and not await stage.redis.zcard("grid8:{notifiers}:dead")

            await until(buried, "the ghost is buried")
            members = await stage.redis.hkeys("grid8:{presence:org_1/org}:members")
            assert ghost not in str(members)
    finally:
        await stage.close()
