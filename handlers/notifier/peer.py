"""A connection and its channels: what WebSocket and SSE have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

from contracts.actor import Actor
from contracts.errors import DomainError
from handlers.notifier.frames import Burst, Frame, Hint, Told
from handlers.notifier.metrics import CUTS
from handlers.notifier.outbox import Bounded
from infra.tickets import Ticket

if TYPE_CHECKING:
    from handlers.notifier.hub import Hub

Authorise = Callable[[Actor, str], Awaitable[None]]

CLOSE_GRACE = 5.0
"""Seconds a closing connection has to take what is still to be said."""


class Close(IntEnum):
    """Why we end a connection (WebSocket close codes; 4000 and up are ours)."""

    NOTHING_LEFT = 1000
    GOING_AWAY = 1001
    TRY_AGAIN_LATER = 1013
    SESSION_ENDED = 4001
    MEMBERSHIP_ENDED = 4003
    IDLE = 4004
    TOO_SLOW = 4008
    REPLACED = 4009
    FLOOD = 4029


class Subscription:
    """One channel of one connection."""

    __slots__ = ("address", "channel", "held", "over", "peer", "shard", "unpushed")

    def __init__(self, peer: Peer, channel: str, address: str, shard: int) -> None:
        self.peer = peer
        self.channel = channel
        self.address = address
        self.shard = shard
        self.held: deque[Frame] | None = None
        """Live frames wait here while older ones are still being read."""
        self.over = False
        """Unsubscribed or dropped: nothing more may be delivered."""
        self.unpushed: Collection[bytes] = ()
        """Ids of events that were delivered from the log, and may be pushed yet."""

    def take(self, burst: Burst) -> None:
        """Deliver live frames. Never waits."""
        if self.unpushed:
            burst = Burst([each for each in burst.frames if each.entry.id not in self.unpushed])
        if self.held is None:
            self.peer.deliver_all(burst)
            return
        for frame in burst.frames:
            if len(self.held) >= self.peer.hold_limit:
                self.peer.overflow()
                return
            self.held.append(frame)


class Peer(ABC):
    """One connection of one user to one organization."""

    transport: ClassVar[str]
    outbox: Bounded[Any]

    def __init__(self, hub: Hub, ticket: Ticket, *, hold_limit: int) -> None:
        self.hub = hub
        self.ticket = ticket
        self.actor = Actor(
            user=ticket.user,
            session=ticket.session or None,
            org=ticket.org,
            impersonator=ticket.impersonator or None,
        )
        self.subscriptions: dict[str, Subscription] = {}
        self.hold_limit = hold_limit
        self.authority = 0
        """Counts changes of what the user may see; an answer from before one is void."""
        self.ending: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    def deliver(self, frame: Frame) -> None:
        """Write or queue a frame. Never waits."""

    def deliver_all(self, burst: Burst) -> None:
        """Write or queue frames in order. Never waits."""
        for frame in burst.frames:
            self.deliver(frame)

    @abstractmethod
    def hint(self, hint: Hint) -> None:
        """Write what is of use only now, unless something waits to be written."""

    @abstractmethod
    def tell(self, told: Told) -> None:
        """Write or queue what is not of the event log. Never waits."""

    @abstractmethod
    def lost(self, subscriptions: list[Subscription]) -> None:
        """Tell that events of these channels are missing; the next are whole again."""

    @abstractmethod
    def dropped(self, channel: str, error: DomainError) -> None:
        """Tell that a channel has ended, and why."""

    @abstractmethod
    async def end(self, code: Close, reason: str) -> None:
        """Say goodbye and close; what is queued goes out first. May take its time."""

    @abstractmethod
    def abort(self) -> None:
        """Close without a word."""

    def overflow(self) -> None:
        """The reader is too slow: forget what waits for it and close."""
        self.close(Close.TOO_SLOW, "too slow; resume from your cursor")

    def close(self, code: Close, reason: str) -> None:
        """End the connection soon. Nothing more is delivered to it. Can be repeated."""
        if self.ending is not None:
            return
        CUTS.labels(self.transport, str(int(code))).inc()
        self.hub.leave(self)
        self.cancel_tasks()
        if code is Close.TOO_SLOW:
            self.outbox.close(drop=True)
        self.ending = asyncio.create_task(self._end(code, reason))

    async def gone(self) -> None:
        """Take down a connection whose client has left, or which we have closed."""
        self.hub.leave(self)
        self.cancel_tasks()
        if self.ending is not None:
            await asyncio.shield(self.ending)
        await self.outbox.stop()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside the connection's reader, for as long as it is open."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel_tasks(self) -> None:
        """Stop whatever was started."""
        for task in tuple(self._tasks):
            task.cancel()

    def drop(self, channel: str, error: DomainError) -> None:
        """End a channel that the user may no longer see."""
        subscription = self.subscriptions.pop(channel, None)
        if subscription is not None:
            self.hub.remove(subscription)
            self.dropped(channel, error)

    async def authorise(self, authorise: Authorise, *channels: str) -> int:
        """Raise a DomainError unless the user may listen to all the channels now.

        The answer holds as long as ``authority`` is what is returned.
        """
        while True:
            authority = self.authority
            for channel in channels:
                await authorise(self.actor, channel)
            if authority == self.authority:
                return authority

    async def _end(self, code: Close, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_GRACE):
                await self.outbox.flush()
                await self.end(code, reason)
        except (TimeoutError, OSError, RuntimeError):
            self.abort()
