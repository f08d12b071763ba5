"""Ends what a user may no longer see: at once by events, and by looking when one was lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import structlog
from redis.exceptions import RedisError

from bus.tasks import end
from contracts.errors import DomainError
from contracts.realtime.errors import ChannelGone
from handlers.notifier.hub import Hub
from handlers.notifier.peer import Authorise, Close, Peer

log = structlog.get_logger(__name__)

LOOK_EVERY = 3.0
AT_ONCE = 8
"""Lookups under way at a time."""

T = TypeVar("T")

Owner = Callable[[str], Awaitable[str | None]]
"""The user of a live session."""


class Guard:
    """Watches over the connections of a hub."""

    def __init__(self, hub: Hub, authorise: Authorise, owner: Owner) -> None:
        self._hub = hub
        self._authorise = authorise
        self._owner = owner
        self._tasks: set[asyncio.Task[None]] = set()
        hub.on_control = self.apply
        hub.on_gap = self.recheck

    def start(self) -> None:
        """Begin to look whether sessions still live."""
        self._run(self._watch())

    async def stop(self) -> None:
        """Look no more."""
        for task in tuple(self._tasks):
            await end(task)

    def apply(self, control: str) -> None:
        """Carry out the control of an entry, as routing.py writes it."""
        match control.split():
            case ["session", user, session]:
                for peer in self._of(user):
                    if peer.ticket.session == session:
                        peer.close(Close.SESSION_ENDED, "the session has ended")
            case ["key", key]:
                for peer in self._of(key):
                    peer.close(Close.SESSION_ENDED, "the API key has ended")
            case ["left", user, org]:
                for peer in self._of(user, org):
                    peer.close(Close.MEMBERSHIP_ENDED, "the membership has ended")
            case ["role", user, org]:
                self.recheck(self._of(user, org))
            case ["organization", org]:
                for peer in self._hub.everyone():
                    if peer.ticket.org == org:
                        peer.close(Close.MEMBERSHIP_ENDED, "the organization is gone")
            case ["channel", org, channel]:
                for peer in self._hub.everyone():
                    if peer.ticket.org == org:
                        peer.drop(channel, ChannelGone())
            case _:
                log.warning("control_unknown", control=control)

    def recheck(self, peers: Iterable[Peer]) -> None:
        """Authorise all channels of these connections again, soon."""
        chosen = list(peers)
        for peer in chosen:
            peer.authority += 1
        self._run(self._each(chosen, self._recheck))

    async def look(self) -> None:
        """Close the connections of sessions and API keys that have ended.

        Raises redis.RedisError.
        """
        by_session: dict[tuple[str, str], list[Peer]] = {}
        by_key: dict[tuple[str, str], list[Peer]] = {}
        for peer in self._hub.everyone():
            if peer.actor.is_key:
                by_key.setdefault((peer.ticket.user, peer.ticket.org), []).append(peer)
            elif peer.ticket.session:
                key = (peer.ticket.session, peer.ticket.user)
                by_session.setdefault(key, []).append(peer)

        async def look_at(key: tuple[str, str]) -> None:
            session, user = key
            if await self._owner(session) != user:
                for peer in by_session[key]:
                    peer.close(Close.SESSION_ENDED, "the session has ended")

        async def look_at_key(key: tuple[str, str]) -> None:
            try:
                await self._authorise(by_key[key][0].actor, "org")
            except DomainError:
                for peer in by_key[key]:
                    peer.close(Close.SESSION_ENDED, "the API key has ended")
            except Exception as error:
                log.warning("key_not_looked_at", reason=str(error)[:200])

        await self._each(list(by_session), look_at)
        await self._each(list(by_key), look_at_key)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.warning("sessions_not_looked_at", reason=str(error)[:200])
            except Exception:
                log.exception("session_check_failed")

    async def _recheck(self, peer: Peer) -> None:
        for channel in list(peer.subscriptions):
            try:
                await peer.authorise(self._authorise, channel)
            except DomainError as error:
                peer.drop(channel, error)
            except Exception as error:
                # Nobody can say whether they may still see it, so they may not.
                log.warning("authorisation_unknown", reason=str(error)[:200])
                peer.close(Close.TRY_AGAIN_LATER, "authorisation is not available")

    def _of(self, user: str, org: str | None = None) -> list[Peer]:
        peers = self._hub.peers.get(user, set())
        return [peer for peer in peers if org is None or peer.ticket.org == org]

    async def _each(self, items: list[T], work: Callable[[T], Awaitable[None]]) -> None:
        queue = iter(items)

        async def run() -> None:
            for item in queue:
                await work(item)

        await asyncio.gather(*(run() for _ in range(min(AT_ONCE, len(items)))))

    def _run(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
