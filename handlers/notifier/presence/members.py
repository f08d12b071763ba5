"""Which people this notifier serves on which channels, and that they are written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import structlog

from handlers.notifier.peer import Subscription
from handlers.notifier.presence.life import Life
from infra.presence import estates, rosters
from infra.presence.notifiers import Command, Execute

log = structlog.get_logger(__name__)

SOON = 0.05
"""Seconds in which changes are gathered before they are written."""
AGAIN_AFTER = 0.5

Key = tuple[str, str]
"""Address of the channel, and user."""


class Member:
    """A person's subscriptions to one channel, here."""

    __slots__ = ("connections", "since")

    def __init__(self) -> None:
        self.connections = 0
        self.since = int(time.time() * 1000)


def counts(subscription: Subscription) -> bool:
    """Whether it makes somebody present: API keys are not people, an admin in somebody's name
    is not that person, and ``me`` is nobody else's."""
    peer = subscription.peer
    return (
        not peer.actor.is_key and peer.actor.impersonator is None and subscription.channel != "me"
    )


class Members:
    """Keeps Redis informed. Who has lost their last subscription stays for ``grace`` seconds."""

    def __init__(self, execute: Execute, life: Life, *, grace: float) -> None:
        self._execute = execute
        self._life = life
        self._grace = grace
        self._members: dict[Key, Member] = {}
        self._leaving: dict[Key, float] = {}
        """When who has no subscription any more is taken out; the next one first."""
        self._changed: dict[Key, None] = {}
        self._written: dict[str, set[str]] = {}
        """Users by address, as Redis has them."""
        self._wake = asyncio.Event()
        life.on_anew.append(self._write_all)
        life.traces.append(self._traces)

    def come(self, subscription: Subscription) -> None:
        """A subscription is served."""
        if not counts(subscription):
            return
        key = (subscription.address, subscription.peer.ticket.user)
        member = self._members.setdefault(key, Member())
        member.connections += 1
        if self._leaving.pop(key, None) is None or member.connections > 1:
            self._note(key)

    def go(self, subscription: Subscription) -> None:
        """A subscription is served no more."""
        key = (subscription.address, subscription.peer.ticket.user)
        member = self._members.get(key) if counts(subscription) else None
        if member is None:
            return
        member.connections -= 1
        if member.connections == 0:
            self._leaving[key] = time.monotonic() + self._grace
            self._wake.set()
        else:
            self._note(key)

    def expel(self, user: str | None, org: str, channel: str | None = None) -> None:
        """Wait no longer for a user, or anybody, who has just lost channels of an organization."""
        for key in list(self._leaving):
            address, who = key
            scope, _, name = address.partition("/")
            if scope == org and user in (None, who) and channel in (None, name):
                self._leave(key)

    async def flush(self) -> None:
        """Write what has changed. Raises redis.RedisError, and will then try it again."""
        at = time.monotonic()
        while self._leaving and next(iter(self._leaving.values())) <= at:
            self._leave(next(iter(self._leaving)))
        changed, self._changed = self._changed, {}
        if not changed:
            return
        try:
            await self._execute(list(self._commands(changed)))
        except BaseException:
            self._changed = changed | self._changed
            self._wake.set()
            raise

    async def run(self) -> None:
        """Write soon what has changed, until cancelled."""
        while True:
            until = next(iter(self._leaving.values()), None)
            left = None if until is None else max(0.0, until - time.monotonic())
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
                    await asyncio.sleep(SOON)
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.flush()
            except Exception as error:
                log.warning("presence_not_written", reason=str(error)[:200])
                await asyncio.sleep(AGAIN_AFTER)

    def _leave(self, key: Key) -> None:
        del self._leaving[key]
        del self._members[key]
        self._note(key)

    def _note(self, key: Key) -> None:
        self._changed[key] = None
        self._wake.set()

    def _write_all(self) -> None:
        self._written.clear()
        self._changed = dict.fromkeys(self._members)
        self._wake.set()

    def _traces(self, former: str) -> list[Command]:
        return [rosters.clear(address, former) for address in {each for each, _ in self._members}]

    def _commands(self, changed: dict[Key, None]) -> Iterator[Command]:
        """What is written is how it is now, so that writing it again does no harm."""
        by_address: dict[str, list[tuple[str, int, int]]] = {}
        for address, user in changed:
            member = self._members.get((address, user))
            if member is None:
                value = (user, 0, 0)
            else:
                value = (user, max(1, member.connections), member.since)
            by_address.setdefault(address, []).append(value)
        me = self._life.id
        for address, values in by_address.items():
            written = self._written.setdefault(address, set())
            if not written:
                yield estates.note(me, estates.roster(address))
            for at in range(0, len(values), rosters.LIMIT):
                yield rosters.write(address, me, values[at : at + rosters.LIMIT])
            written.update(user for user, connections, _ in values if connections)
            written.difference_update(user for user, connections, _ in values if not connections)
            if not written:
                del self._written[address]
                yield estates.strike(me, estates.roster(address))
