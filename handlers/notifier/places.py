"""Places for sockets: how many a user, an organization and this process may have.

Those of users and organizations are counted in Redis, for all notifiers, in the one round trip
that a new socket costs. Counts are exact between notifiers. What an interrupted connection to
Redis may have counted twice, or not at all, is set right within a second or two.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from redis.exceptions import RedisError

from bus.tasks import end
from contracts.realtime.errors import TooManySockets
from handlers.notifier.metrics import REFUSED
from handlers.notifier.presence.life import Life
from infra.presence import estates, sockets
from infra.presence.notifiers import Command, Execute
from infra.settings import NotifierSettings

log = structlog.get_logger(__name__)

SOON = 0.05
"""Seconds in which places given back are gathered."""
AUDIT = 1.0
RETRY_AFTER = 5
"""Seconds: in that time the sockets of a notifier that was killed are free again."""


@dataclass(eq=False, slots=True)
class Place:
    """A socket's, until it is given back."""

    id: str
    user: str
    org: str
    transport: str
    since: int
    counted: bool = False

    @property
    def scopes(self) -> tuple[str, str]:
        """The counts it is in."""
        return sockets.of_user(self.user), sockets.of_organization(self.org)

    def noted(self) -> dict[str, Any]:
        """As it stands in Redis."""
        return {
            "user": self.user,
            "org": self.org,
            "transport": self.transport,
            "since": self.since,
        }


class Places:
    """Of this process, and its share of those that all notifiers give."""

    def __init__(self, execute: Execute, life: Life, settings: NotifierSettings) -> None:
        self._execute = execute
        self._life = life
        self._settings = settings
        self._taken: dict[str, Place] = {}
        """By id, from when it is asked for."""
        self._held: Counter[str] = Counter()
        """By scope: what Redis should count of ours."""
        self._asking: Counter[str] = Counter()
        self._owed: Counter[str] = Counter()
        """By scope: what was given back, and is not yet counted so."""
        self._ended: list[str] = []
        self._audited: set[str] = set()
        """Scopes whose count may be wrong, to be set when nobody asks for a place in them."""
        self._anew = False
        """Whether all is to be written again."""
        self._audit_at = time.monotonic() + AUDIT
        self._wake = asyncio.Event()
        life.on_anew.append(self._write_all)
        life.traces.append(self._traces)

    async def take(self, user: str, org: str, transport: str) -> Place:
        """A place for one more socket. Raises TooManySockets, or redis.RedisError."""
        limit = self._settings.sockets
        if limit and len(self._taken) >= limit:
            raise _refusal("process", f"This server has its {limit} connections.")
        place = Place(secrets.token_hex(6), user, org, transport, int(time.time() * 1000))
        self._taken[place.id] = place
        self._asking.update(place.scopes)
        limits = (self._settings.sockets_per_user, self._settings.sockets_per_org)
        me = self._life.id
        counted: list[str] = []
        try:
            refused = await self._count(me, place, limits, counted)
        except BaseException:
            counted.clear()  # nobody knows; the audit will
            self._give_up(place, counted)
            raise
        finally:
            self._asking.subtract(place.scopes)
            self._audited.update(place.scopes)
        if refused is not None:
            self._give_up(place, counted)
            raise refused
        self._held.update(place.scopes)
        place.counted = True
        if me != self._life.id:
            self._write_all()
        return place

    def give_back(self, place: Place) -> None:
        """The socket has ended. Can be repeated."""
        if self._taken.pop(place.id, None) is None:
            return
        self._held.subtract(place.scopes)
        self._owed.update(place.scopes)
        self._ended.append(place.id)
        self._wake.set()

    async def run(self) -> None:
        """Have Redis count what was given back, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(max(0.0, self._audit_at - time.monotonic())):
                    await self._wake.wait()
                    await asyncio.sleep(SOON)
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.flush()
                if time.monotonic() >= self._audit_at:
                    self._audit_at = time.monotonic() + AUDIT
                    await self._audit()
            except Exception as error:
                log.warning("places_not_counted", reason=str(error)[:200])
                await asyncio.sleep(AUDIT)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep counts right; at the end, give back what has ended."""
        task = asyncio.create_task(self.run(), name="places")
        try:
            yield
        finally:
            await end(task)
            try:
                await self.flush()
            except (RedisError, OSError) as error:
                log.warning("places_not_given_back", reason=str(error)[:200])

    async def flush(self) -> None:
        """Have Redis count what was given back up to now. Raises redis.RedisError."""
        owed, self._owed = self._owed, Counter()
        ended, self._ended = self._ended, []
        me = self._life.id
        commands = [sockets.release(scope, me, count) for scope, count in owed.items()]
        if ended:
            commands.append(sockets.forget(me, *ended))
        self._audited.update(owed)
        try:
            if commands:
                await self._execute(commands)
        except BaseException:
            self._ended = ended + self._ended
            raise

    async def _count(
        self, me: str, place: Place, limits: tuple[int, int], counted: list[str]
    ) -> TooManySockets | None:
        """Count the place in both scopes. ``counted`` are those where it was."""
        asked = list(zip(place.scopes, limits, strict=True))
        dead: dict[str, tuple[str, ...]] = {}
        noted: list[Command] = [
            estates.note(me, *map(estates.scope, place.scopes)),
            sockets.enter(me, {place.id: place.noted()}),
        ]
        while True:
            commands = [
                sockets.admit(scope, me, limit, dead.get(scope, ())) for scope, limit in asked
            ]
            replies = (await self._execute(noted + commands))[len(noted) :]
            noted = []
            refusals = [
                (scope, limit, others)
                for (scope, limit), reply in zip(asked, replies, strict=True)
                if (others := sockets.refused_by(reply)) is not None
            ]
            stood = {scope for scope, _, _ in refusals}
            counted += [scope for scope, _ in asked if scope not in stood]
            if not refusals:
                return None
            again = []
            for scope, limit, others in refusals:
                gone = await self._dead(others)
                if not gone:
                    return _too_many(scope, limit)
                dead[scope] = gone
                again.append((scope, limit))
            asked = again

    async def _dead(self, others: list[str]) -> tuple[str, ...]:
        """Those of other notifiers that are alive no longer: a new one may not be known yet."""
        if any(each not in self._life.living for each in others):
            await self._life.look()
        return tuple(each for each in others if each not in self._life.living)

    def _give_up(self, place: Place, counted: list[str]) -> None:
        del self._taken[place.id]
        self._owed.update(counted)
        self._ended.append(place.id)
        self._wake.set()

    async def _audit(self) -> None:
        """Set what Redis counts of ours, where nothing that may change it is under way."""
        quiet = {each for each in self._audited if not self._asking[each] and not self._owed[each]}
        anew, self._anew = self._anew, False
        self._audited -= quiet
        me = self._life.id
        commands: list[Command] = []
        if anew:
            places = {place.id: place.noted() for place in self._taken.values() if place.counted}
            if places:
                commands.append(sockets.enter(me, places))
        for scope in quiet:
            count = self._held[scope]
            where = estates.scope(scope)
            commands.append(estates.note(me, where) if count else estates.strike(me, where))
            commands.append(sockets.correct(scope, me, count))
            if not count:
                del self._held[scope], self._asking[scope]
        try:
            if commands:
                await self._execute(commands)
        except BaseException:
            self._audited |= quiet
            self._anew = self._anew or anew
            raise

    def _traces(self, former: str) -> list[Command]:
        return [sockets.free(scope, former) for scope in self._held]

    def _write_all(self) -> None:
        self._owed.clear()
        self._ended.clear()
        self._audited.update(scope for scope, count in self._held.items() if count)
        self._anew = True
        self._audit_at = time.monotonic()
        self._wake.set()


def _too_many(scope: str, limit: int) -> TooManySockets:
    kind, _, _ = scope.partition(":")
    whose = "You have" if kind == "user" else "The organization has"
    return _refusal(kind, f"{whose} {limit} connections, and no more are allowed.")


def _refusal(limit: str, detail: str) -> TooManySockets:
    REFUSED.labels(limit).inc()
    return TooManySockets(detail, retry_after=RETRY_AFTER)
