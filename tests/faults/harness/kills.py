"""kill -9 of processes of a stack, again and again, in their starts too."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter

from bus.broker import connect
from handlers.topology import command_groups, event_groups
from infra.embedded.errors import CannotStartError
from tests.faults.harness.load import Load
from tests.faults.harness.stack import PROCESSES

FULL = 0.5
"""How often a process is killed with something in hand, rather than at any instant."""
PATIENCE = 8.0
"""Seconds after which a process is killed although nothing flows."""
START = 1.5
"""Seconds of a start in which a process may be killed again."""


class Killer:
    """Kills each of these roles at random instants while a load flows.

    ``gap`` is how many seconds, at most, a process is left alone once it is ready and the
    load flows again; ``again`` how often it is killed in the middle of its start.
    """

    def __init__(
        self,
        load: Load,
        chance: random.Random,
        *,
        roles: tuple[str, ...] = PROCESSES,
        gap: float = 2.0,
        again: float = 0.3,
    ) -> None:
        self.killed: Counter[str] = Counter()
        self._load = load
        self._stack = load.stack
        self._chance = chance
        self._roles = roles
        self._gap = gap
        self._again = again
        self._wanted = 0

    async def kill(self, count: int) -> None:
        """Kill at least so many, each role about as often; return when all run again."""
        self._wanted = count
        async with connect(self._stack.redis_url) as self._redis, asyncio.TaskGroup() as group:
            for role in self._roles:
                group.create_task(self._torment(role))

    async def _hands_full(self, role: str) -> None:
        """Wait for the moment in which it has something in hand, if that comes soon."""
        group = role.removeprefix("worker-")
        pairs = [each for each in (*command_groups(), *event_groups()) if each[1] == group]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE / 4):
                while pairs:
                    for stream, _ in pairs:
                        if (await self._redis.xpending(stream, group))["pending"]:
                            return

    def _enough(self, role: str) -> bool:
        return self.killed[role] * len(self._roles) >= self._wanted

    async def _torment(self, role: str) -> None:
        while not self._enough(role):
            await self._load.flows(PATIENCE)
            await asyncio.sleep(self._chance.uniform(0, self._gap))
            if self._chance.random() < FULL:
                await self._hands_full(role)
            self._stack.kill(role)
            self.killed[role] += 1
            # Not left to the supervisor, which would wait longer after each death.
            await self._stack.hold(role, signal.SIGKILL)
            while not await self._started(role):
                pass

    async def _started(self, role: str) -> bool:
        """Start it, unless it is killed in the middle of that."""
        starting = asyncio.create_task(self._stack.release(role))
        if self._chance.random() < self._again and not self._enough(role):
            await asyncio.wait({starting}, timeout=self._chance.uniform(0, START))
            if not starting.done() and self._strike(role):
                self.killed[role] += 1
        try:
            await starting
        except CannotStartError:
            return False
        return True

    def _strike(self, role: str) -> bool:
        try:
            os.kill(self._stack.process(role).pid, signal.SIGKILL)
        except ProcessLookupError:  # not spawned yet
            return False
        return True
