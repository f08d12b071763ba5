"""Who watches which channel's presence: what changes is heard, and now and then compared.

What is told by pub/sub may be lost. So the version of each roster that somebody watches is
compared every ``CHECK`` seconds, and read again where it is another than that of the copy.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from handlers.notifier.frames import Told
from handlers.notifier.metrics import PRESENCE_TOLD
from handlers.notifier.peer import Subscription
from handlers.notifier.presence.copies import Copy
from handlers.notifier.presence.life import Life
from handlers.notifier.presence.members import Members
from infra.presence import rosters
from infra.presence.notifiers import Execute
from infra.settings import NotifierSettings

log = structlog.get_logger(__name__)

CHECK = 2.0
AGAIN_AFTER = 0.5
RETRY = 0.2


class Watches:
    """Copies of the rosters that somebody here watches."""

    def __init__(
        self, execute: Execute, life: Life, members: Members, settings: NotifierSettings
    ) -> None:
        self._execute = execute
        self._life = life
        self._members = members
        self._settings = settings
        self._copies: dict[str, Copy] = {}
        self._wanted: set[str] = set()
        self._wake = asyncio.Event()
        self._telling: set[str] = set()
        """Channels whose watchers are told soon."""
        life.on_others.append(self._suspect)

    def watch(self, subscription: Subscription) -> None:
        """Tell everybody who is present as soon as that is known, and then who comes and goes."""
        copy = self._copies.get(subscription.address)
        if copy is None:
            copy = self._copies[subscription.address] = Copy(subscription.address, self._life)
        copy.waiting[subscription] = None
        self._want(copy.address)

    def unwatch(self, subscription: Subscription) -> None:
        """Tell no more. Can be repeated."""
        copy = self._copies.get(subscription.address)
        if copy is None:
            return
        copy.waiting.pop(subscription, None)
        copy.watchers.pop(subscription, None)
        if not copy.waiting and not copy.watchers:
            del self._copies[copy.address]

    def hear(self, body: bytes) -> None:
        """Follow what was told of a roster."""
        copy = self._copies.get(rosters.address_in(body))
        if copy is None:
            return
        if copy.apply(rosters.changes_of(body)):
            self._tell_soon(copy)
        else:
            self._want(copy.address)

    async def listen(self, redis: Redis) -> None:
        """Hear what is told, until cancelled."""
        while True:
            try:
                async with redis.pubsub() as pubsub:
                    await pubsub.subscribe(rosters.CHANGES)
                    for address in self._copies:
                        self._want(address)
                    while True:
                        message = await pubsub.get_message(
                            ignore_subscribe_messages=True, timeout=5.0
                        )
                        if message is not None:
                            self._hear(message["data"])
            except (RedisError, OSError) as error:
                log.warning("presence_interrupted", reason=str(error)[:200])
                await asyncio.sleep(RETRY)

    async def run(self) -> None:
        """Read rosters when they are wanted, and compare all now and then, until cancelled."""
        check = time.monotonic() + CHECK
        while True:
            try:
                async with asyncio.timeout(max(0.0, check - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                self._wanted.update(self._copies)
                check = time.monotonic() + CHECK
            self._wake.clear()
            wanted, self._wanted = self._wanted, set()
            try:
                await self._read([self._copies[each] for each in wanted if each in self._copies])
            except Exception as error:
                log.warning("presence_not_read", reason=str(error)[:200])
                await asyncio.sleep(AGAIN_AFTER)
                self._wanted |= wanted
                self._wake.set()

    async def _read(self, copies: list[Copy]) -> None:
        if not copies:
            return
        asked = {copy: list(copy.waiting) for copy in copies}
        if any(asked.values()):
            # Who asks is among those who are present.
            await self._members.flush()
        replies = await self._execute(
            [rosters.read(copy.address, copy.epoch, copy.number) for copy in copies]
        )
        for copy, reply in zip(copies, replies, strict=True):
            roster = rosters.roster_of(reply)
            if roster is not None:
                copy.take(roster)
            if asked[copy]:
                self._answer(copy, asked[copy])
            elif copy.touched:
                self._tell_soon(copy)

    def _answer(self, copy: Copy, asked: list[Subscription]) -> None:
        self._tell(copy)
        told = copy.members(self._settings.presence_listed)
        for subscription in asked:
            if copy.waiting.pop(subscription, subscription) is None:
                copy.watchers[subscription] = None
                _send(subscription, told)

    def _tell_soon(self, copy: Copy, after: float | None = None) -> None:
        if copy.address in self._telling or not copy.touched:
            return
        self._telling.add(copy.address)

        def tell() -> None:
            self._telling.discard(copy.address)
            if self._copies.get(copy.address) is copy:
                self._tell(copy)

        asyncio.get_running_loop().call_later(after or self._settings.presence_batch, tell)

    def _tell(self, copy: Copy) -> None:
        for told in copy.news(self._settings.presence_listed):
            for subscription in tuple(copy.watchers):
                _send(subscription, told)
        if copy.touched:
            self._tell_soon(copy, self._life.unsettled + RETRY)

    def _suspect(self) -> None:
        for copy in self._copies.values():
            copy.suspect()
            self._tell_soon(copy)

    def _want(self, address: str) -> None:
        self._wanted.add(address)
        self._wake.set()

    def _hear(self, body: bytes) -> None:
        try:
            self.hear(body)
        except ValueError:
            log.warning("presence_unreadable", size=len(body))


def _send(subscription: Subscription, told: Told) -> None:
    if not subscription.over:
        subscription.peer.tell(told)
        PRESENCE_TOLD.inc()
