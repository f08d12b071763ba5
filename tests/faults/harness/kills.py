"""kill -9 of processes of a stack, again and again, in their starts too."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter

from infra.embedded.errors import CannotStartError
from infra.embedded.running import RunningStack

ROLES = ("gateway", "worker-auth", "worker-corp", "worker-asset", "notifier", "relay")
START = 1.5
"""Seconds of a start in which a process may be killed again."""


class Killer:
    """Kills each of these roles at random instants, independently of the others.

    ``gap`` is how many seconds, at most, a process is left alone once it is ready.
    """

    def __init__(
        self,
        stack: RunningStack,
        chance: random.Random,
        *,
        roles: tuple[str, ...] = ROLES,
        gap: float = 3.0,
        again: float = 0.3,
    ) -> None:
        self.killed: Counter[str] = Counter()
        self._stack = stack
        self._chance = chance
        self._roles = roles
        self._gap = gap
        self._again = again
        self._wanted = 0

    async def kill(self, count: int) -> None:
        """Kill at least so many, each role about as often; return when all run again."""
        self._wanted = count
        async with asyncio.TaskGroup() as group:
            for role in self._roles:
                group.create_task(self._torment(role))

    def _enough(self, role: str) -> bool:
        return self.killed[role] * len(self._roles) >= self._wanted

    async def _torment(self, role: str) -> None:
        while not self._enough(role):
            await asyncio.sleep(self._chance.uniform(0, self._gap))
            # Not left to the supervisor, which would wait longer after each death.
            await self._stack.hold(role, signal.SIGKILL)
            self.killed[role] += 1
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
