"""One more gateway beside the shared ones, with settings of its own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway_stack import eventually

from infra.embedded.layout import ROOT
from infra.embedded.ports import free_port
from infra.embedded.probes import http_ready
from infra.embedded.running import RunningStack


@asynccontextmanager
async def own_gateway(
    stack: RunningStack, log: Path, **settings: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """One more gateway, which the test stops."""
    port = free_port()
    env = {**stack.env, "GRID8_GATEWAY__PORT": str(port), "GRID8_OPS__PORT": "-1", **settings}
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", env=env, cwd=ROOT, stdout=out, stderr=out
        )
    ready = http_ready("127.0.0.1", port)

    async def answers() -> bool:
        with contextlib.suppress(OSError):
            return await ready()
        return False

    try:
        await eventually(answers, within=60)
        yield process, port
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
