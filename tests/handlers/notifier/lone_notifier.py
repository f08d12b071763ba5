"""A notifier in a process of its own, to be killed: ``python lone_notifier.py REDIS PORT``."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import aiohttp

from bus.broker import connect
from bus.publisher import Publisher
from contracts.actor import Actor
from handlers.domain import Context
from handlers.notifier.worker import wire
from infra.embedded.ports import free_port
from infra.settings import Settings


async def anybody(actor: Actor, channel: str) -> None:
    """Everybody may listen to everything."""


async def nothing_else(actor: Actor) -> str:
    return "everything"


async def serve(url: str, port: int) -> None:
    redis = connect(url)
    context = Context(
        Settings(
            redis={"url": url},
            notifier={"port": port, "archive_days": 0},
            secrets={"keys": [base64.b64encode(bytes(32)).decode()]},
        ),
        redis,
        cast(Any, None),
        Publisher(redis),
        cast(Any, None),
        authorise=anybody,
        rights=nothing_else,
    )
    async with wire(context):
        await asyncio.Event().wait()


class Lone:
    """Such a process, seen from a test."""

    def __init__(self, url: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), url, str(port)],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.DEVNULL,
        )

    async def answers(self) -> bool:
        try:
            async with aiohttp.ClientSession() as client, client.get(self.url + "/health") as got:
                return got.status == 200
        except aiohttp.ClientError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
