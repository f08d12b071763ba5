"""Ends what a user may no longer see: at once by events, and by looking when one was lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import structlog
from redis.exceptions import RedisError

from bus.tasks import end
from contracts.actor import Actor
from contracts.errors import DomainError
from contracts.realtime.errors import ChannelGone
from handlers.notifier.hub import Hub
from handlers.notifier.peer import Authorise, Close, Peer

log = structlog.get_logger(__name__)

LOOK_EVERY = 3.0
AT_ONCE = 8
"""Authorisations under way at a time."""
TOGETHER = 256
"""Lookups of rights under way at a time, which share their queries."""

T = TypeVar("T")

Owners = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
"""The users of those of these sessions that are live."""
Rights = Callable[[Actor], Awaitable[Hashable]]
"""What somebody may see in their organization, comparable; None where they are nobody."""
Expel = Callable[[str | None, str, str | None], None]
"""Who has lost channels: user (None: whoever), organization, channel (None: all)."""

CERTAIN = ("org", "me")
"""Channels of which the rights say all; others are authorised one by one."""


class Guard:
    """Watches over the connections of a hub."""

    def __init__(
        self,
        hub: Hub,
        authorise: Authorise,
        *,
        rights: Rights,
        owners: Owners,
        expel: Expel = lambda user, org, channel: None,
    ) -> None:
        self._hub = hub
        self._authorise = authorise
        self._rights = rights
        self._owners = owners
        self._expel = expel
        self._judged: dict[Peer, tuple[Hashable, frozenset[str]]] = {}
        """By which rights each connection has which channels."""
        self._tasks: set[asyncio.Task[None]] = set()
        hub.on_control = self.apply
        hub.on_gap = self.recheck

    def start(self) -> None:
        """Begin to look whether what was allowed still is."""
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
                        self._end(peer, Close.SESSION_ENDED, "the session has ended")
            case ["key", key]:
                for peer in self._of(key):
                    peer.close(Close.SESSION_ENDED, "the API key has ended")
            case ["left", user, org]:
                for peer in self._of(user, org):
                    self._end(peer, Close.MEMBERSHIP_ENDED, "the membership has ended")
                self._expel(user, org, None)
            case ["role", user, org]:
                self.recheck(self._of(user, org))
            case ["organization", org]:
                for peer in self._hub.everyone():
                    if peer.ticket.org == org:
                        peer.close(Close.MEMBERSHIP_ENDED, "the organization is gone")
                self._expel(None, org, None)
            case ["channel", org, channel]:
                for peer in self._hub.everyone():
                    if peer.ticket.org == org:
                        peer.drop(channel, ChannelGone())
                self._expel(None, org, channel)
            case _:
                log.warning("control_unknown", control=control)

    def recheck(self, peers: Iterable[Peer]) -> None:
        """Authorise all channels of these connections again, soon."""
        chosen = list(peers)
        for peer in chosen:
            peer.authority += 1
        self._run(self._each(chosen, self._recheck))

    async def look(self) -> None:
        """End what sessions, API keys, memberships and roles allow no longer.

        For events may be lost. Raises redis.RedisError.
        """
        by_session: dict[str, list[Peer]] = {}
        by_person: dict[tuple[str, str], list[Peer]] = {}
        for peer in self._hub.everyone():
            if peer.ticket.session:
                by_session.setdefault(peer.ticket.session, []).append(peer)
            by_person.setdefault((peer.ticket.user, peer.ticket.org), []).append(peer)
        live = await self._owners(list(by_session)) if by_session else {}
        for session, peers in by_session.items():
            for peer in peers:
                if live.get(session) != peer.ticket.user:
                    self._end(peer, Close.SESSION_ENDED, "the session has ended")

        unsure: list[tuple[Peer, frozenset[str]]] = []

        async def look_at(person: tuple[str, str]) -> None:
            unsure.extend(await self._judge(by_person[person]))

        await self._each(list(by_person), look_at, TOGETHER)
        await self._each(unsure, self._confirm)
        there = set(self._hub.everyone())
        self._judged = {peer: known for peer, known in self._judged.items() if peer in there}

    async def _judge(self, peers: list[Peer]) -> list[tuple[Peer, frozenset[str]]]:
        """Look at the connections of one user, or API key, to one organization.

        Returns channels that were not authorised under the rights of now, or nobody knows.
        """
        try:
            rights = await self._rights(peers[0].actor)
        except Exception as error:
            log.warning("rights_not_looked_at", reason=str(error)[:200])
            return []
        if rights is None:
            for peer in peers:
                if peer.actor.is_key:
                    self._end(peer, Close.SESSION_ENDED, "the API key has ended")
                else:
                    self._end(peer, Close.MEMBERSHIP_ENDED, "the membership has ended")
            return []
        found = []
        for peer in peers:
            channels = frozenset(peer.subscriptions).difference(CERTAIN)
            before, judged = self._judged.get(peer, (None, frozenset()))
            self._judged[peer] = (rights, channels)
            unsure = channels if rights != before else channels - judged
            if unsure:
                found.append((peer, unsure))
        return found

    async def _confirm(self, doubt: tuple[Peer, frozenset[str]]) -> None:
        peer, channels = doubt
        for channel in channels:
            try:
                await peer.authorise(self._authorise, channel)
            except DomainError as error:
                self._drop(peer, channel, error)
            except Exception as error:
                log.warning("channel_not_looked_at", reason=str(error)[:200])
                self._judged.pop(peer, None)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.warning("not_looked", reason=str(error)[:200])
            except Exception:
                log.exception("look_failed")

    async def _recheck(self, peer: Peer) -> None:
        for channel in list(peer.subscriptions):
            try:
                await peer.authorise(self._authorise, channel)
            except DomainError as error:
                self._drop(peer, channel, error)
            except Exception as error:
                # Nobody can say whether they may still see it, so they may not.
                log.warning("authorisation_unknown", reason=str(error)[:200])
                peer.close(Close.TRY_AGAIN_LATER, "authorisation is not available")

    def _drop(self, peer: Peer, channel: str, error: DomainError) -> None:
        peer.drop(channel, error)
        self._expel(peer.ticket.user, peer.ticket.org, channel)

    def _end(self, peer: Peer, code: Close, reason: str) -> None:
        peer.close(code, reason)
        self._expel(peer.ticket.user, peer.ticket.org, None)

    def _of(self, user: str, org: str | None = None) -> list[Peer]:
        peers = self._hub.peers.get(user, set())
        return [peer for peer in peers if org is None or peer.ticket.org == org]

    async def _each(
        self, items: list[T], work: Callable[[T], Awaitable[None]], at_once: int = AT_ONCE
    ) -> None:
        queue = iter(items)

        async def run() -> None:
            for item in queue:
                await work(item)

        await asyncio.gather(*(run() for _ in range(min(at_once, len(items)))))

    def _run(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
