"""Notifiers of one stack, each a process of its own, killed at any instant."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp

from infra.embedded.layout import ROOT
from infra.embedded.ports import free_port
from tests.faults.harness.waiting import until

AGAIN = 0.2
"""How often one is killed in the middle of its start."""


class Notifiers:
    """So many notifiers; ``env`` is what the stack's own processes run with."""

    def __init__(self, env: Mapping[str, str], folder: Path, count: int = 2) -> None:
        self.ports = [free_port() for _ in range(count)]
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        self.kills: list[tuple[float, str]] = []
        """When each was killed, and which: its URL."""
        self._env = {**os.environ, **env, "GRID8_OPS__PORT": "-1"}
        self._folder = folder
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    async def start(self) -> None:
        """Start all, and wait until they are ready."""
        for index in range(len(self.ports)):
            self._spawn(index)
        for index in range(len(self.ports)):
            await self._ready(index)

    def end(self) -> None:
        """Kill what runs."""
        for process in self._running.values():
            process.kill()
            process.wait()

    async def torment(
        self, chance: random.Random, *, gap: float, clock: Callable[[], float]
    ) -> None:
        """Kill one after the other, and start it again, until cancelled."""
        while True:
            await asyncio.sleep(chance.uniform(0, gap))
            index = chance.randrange(len(self.ports))
            self._kill(index, clock())
            await asyncio.sleep(chance.uniform(0, 1))
            self._spawn(index)
            if chance.random() < AGAIN:
                await asyncio.sleep(chance.uniform(0, 1.5))
                self._kill(index, clock())
                self._spawn(index)
            await self._ready(index)

    async def recover(self) -> None:
        """Start again what is down, and wait until all are ready."""
        for index, process in self._running.items():
            if process.poll() is not None:
                self._spawn(index)
        for index in range(len(self.ports)):
            await self._ready(index)

    def _kill(self, index: int, at: float) -> None:
        process = self._running[index]
        process.kill()
        process.wait()
        self.kills.append((at, self.urls[index]))

    def _spawn(self, index: int) -> None:
        with (self._folder / f"notifier-{index}.log").open("ab") as log:
            self._running[index] = subprocess.Popen(
                [sys.executable, "-m", "handlers", "notifier"],
                cwd=ROOT,
                env={**self._env, "GRID8_NOTIFIER__PORT": str(self.ports[index])},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def _ready(self, index: int) -> None:
        async def ready() -> object:
            assert self._running[index].poll() is None, "a notifier did not start"
            try:
                async with (
                    aiohttp.ClientSession() as http,
                    http.get(self.urls[index] + "/ready") as response,
                ):
                    return response.status == 200
            except (aiohttp.ClientError, OSError) as error:
                return repr(error)

        await until(ready, "a notifier is ready")
