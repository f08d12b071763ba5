"""A notifier's sign of life, and what it thereby knows of the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from handlers.notifier.metrics import NOTIFIERS
from infra.presence import estates, notifiers
from infra.presence.notifiers import Command, Execute

log = structlog.get_logger(__name__)

BEATS = 3
"""Signs of life in the time that one of them holds."""
SOON = 0.05
STRANGERS = 1000


class Life:
    """Lives under one id, or under another once that was taken for dead.

    ``on_anew`` is called when all that was written must be written again, as ``id`` now is;
    ``traces`` answers with the commands that clear what may have been written as a former id;
    ``on_others`` is called when somebody else came or died.
    """

    def __init__(self, execute: Execute, *, alive_for: float) -> None:
        self.id = notifiers.new_notifier()
        self.living: frozenset[str] = frozenset()
        self.on_anew: list[Callable[[], None]] = []
        self.on_others: list[Callable[[], None]] = []
        self.traces: list[Callable[[str], list[Command]]] = []
        self._execute = execute
        self._alive_for = alive_for
        self._unsettled_until = 0.0
        self._met: set[str] = set()
        self._absent: set[str] = set()
        self._now = asyncio.Event()
        self._beating: asyncio.Future[None] | None = None
        self._burials: list[str] = []
        self._former: list[str] = []

    @property
    def unsettled(self) -> float:
        """Seconds in which absences prove nothing, because not everybody has written again."""
        return max(0.0, self._unsettled_until - time.monotonic())

    def doubt(self) -> None:
        """Believe in no absence for a while: Redis was away, or has lost its data."""
        self._unsettled_until = time.monotonic() + self._alive_for

    def is_living(self, id: str) -> bool:
        """Whether a notifier counts; who is not known yet is asked about."""
        if id in self.living:
            return True
        if id not in self._absent:
            self._met.add(id)
            self._now.set()
        return False

    async def begin(self) -> None:
        """Become known. Raises redis.RedisError."""
        answer = await notifiers.beat(self._execute, self.id, alive_for=self._alive_for, first=True)
        self._learn(answer.living)

    async def look(self) -> None:
        """Know who is alive at this instant or later. Raises redis.RedisError."""
        if self._beating is None or self._beating.done():
            self._beating = asyncio.ensure_future(self._beat())
        await asyncio.shield(self._beating)

    async def run(self) -> None:
        """Give signs of life, and clear what the dead have left, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._alive_for / BEATS):
                    await self._now.wait()
                await asyncio.sleep(SOON)
            except TimeoutError:
                pass
            self._now.clear()
            try:
                await self.look()
                await self._clear()
            except Exception as error:
                log.warning("no_sign_of_life", reason=str(error)[:200])
                self.doubt()

    async def end(self, *, after: float) -> None:
        """Count no longer ``after`` seconds from now. Raises redis.RedisError."""
        await notifiers.retire(self._execute, self.id, after=after)

    async def _beat(self) -> None:
        met, self._met = self._met, set()
        answer = await notifiers.beat(self._execute, self.id, alive_for=self._alive_for)
        if answer.forgotten:
            log.warning("notifier_forgotten", id=self.id)
            self._former.append(self.id)
            self.id = notifiers.new_notifier()
            answer = await notifiers.beat(
                self._execute, self.id, alive_for=self._alive_for, first=True
            )
            self._anew()
        elif answer.late:
            self._anew()
        if len(self._absent) > STRANGERS:
            self._absent.clear()
        self._absent |= met - answer.living
        self._learn(answer.living)
        self._burials += answer.burials

    async def _clear(self) -> None:
        while self._burials:
            dead = self._burials.pop()
            places = await estates.bury(self._execute, dead)
            log.info("notifier_buried", id=dead, places=places)
        while self._former:
            # Redis may have lost its data between two writes, and with it where they are.
            commands = [each for call in self.traces for each in call(self._former[-1])]
            await self._execute([*commands, *estates.none_left(self._former[-1])])
            self._former.pop()

    def _anew(self) -> None:
        self.doubt()
        for call in self.on_anew:
            call()

    def _learn(self, living: frozenset[str]) -> None:
        changed = living != self.living
        self.living = living
        NOTIFIERS.set(len(living))
        if changed:
            for call in self.on_others:
                call()
