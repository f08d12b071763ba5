"""A connection that is an event stream."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import structlog
from aiohttp import web

from bus.feed.push_cursor import Position, encode, with_secret
from contracts.errors import DomainError
from handlers.notifier.copies import comes_elsewhere
from handlers.notifier.frames import Frame, Hint, Told, snapshot, sse
from handlers.notifier.outbox import Outbox
from handlers.notifier.peer import Close, Peer, Subscription
from handlers.notifier.state import Realtime
from infra.event_streams import EventStream

log = structlog.get_logger(__name__)

RETRY_MS = 2000
"""About how long a client waits before it comes back: half of it more or less, so that those
of a notifier that went do not all come at once."""
REMEMBERED = 64
"""Events that came over two push streams, and of which the second copy is left out."""
NOTHING_LEFT = "no channel is left"


def retry_ms() -> int:
    """Milliseconds for ``retry:``."""
    return int(RETRY_MS * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads them


class SsePeer(Peer):
    """One event stream. Each event comes once, however many of its channels it is on."""

    transport: ClassVar[str] = "sse"
    heartbeat: ClassVar[bytes] = b": heartbeat\n\n"
    tells_refusals: ClassVar[bool] = False
    """Whether a channel that is refused is told of, where the stream only begins."""
    outbox: Outbox[bytes]

    def __init__(
        self,
        realtime: Realtime,
        stream: EventStream,
        response: web.StreamResponse,
        transport: asyncio.Transport,
    ) -> None:
        super().__init__(realtime.hub, stream.ticket, hold_limit=realtime.settings.queue_limit)
        self.stream = stream
        self.positions: dict[int, Position] = {}
        """How far each push stream was delivered: the cursor."""
        self.done = asyncio.Event()
        self._realtime = realtime
        self._response = response
        self._transport = transport
        self._twice: deque[bytes] = deque(maxlen=REMEMBERED)
        self.outbox = Outbox(
            realtime.settings.queue_limit,
            send=response.write,
            direct=lambda item: False,
            overflow=self.overflow,
        )

    @property
    def cursor(self) -> str:
        """Where this stream resumes, and the secret that lets its client do so."""
        return with_secret(encode(self.hub.shards, self.positions), self.stream.secret)

    def deliver(self, frame: Frame) -> None:
        entry = frame.entry
        if self.positions.get(entry.shard) == entry.position:
            return
        self.positions[entry.shard] = entry.position
        if entry.copies > 1:
            addresses = [each.address for each in self.subscriptions.values()]
            if entry.id in self._twice or comes_elsewhere(entry, addresses, self.hub.shards):
                return
            self._twice.append(entry.id)
        self.outbox.offer(f"id: {self.cursor}\n".encode() + frame.lines)

    def hint(self, hint: Hint) -> None:
        self.outbox.spare(hint.lines)

    def tell(self, told: Told) -> None:
        self.outbox.offer(told.lines)

    def lost(self, subscriptions: list[Subscription]) -> None:
        for each in subscriptions:
            self.positions[each.shard] = self.hub.position(each.shard)
        for each in subscriptions:
            told = {"channel": each.channel, "snapshot": snapshot(self.ticket.org, each.channel)}
            self.outbox.offer(sse("reset", told, self.cursor))

    def dropped(self, channel: str, error: DomainError) -> None:
        self.outbox.offer(
            self.say("unsubscribed", channel=channel, code=error.code, detail=error.detail)
        )
        self.end_if_empty()

    def refused(self, channel: str, error: DomainError) -> None:
        """Tell that a channel is not served from the beginning, and why."""
        self.dropped(channel, error)

    def begins(self, since: Mapping[int, Position]) -> bool:
        """Whether a push stream that the cursor says nothing of is begun, and not reset."""
        return False

    def begin(self, group: Sequence[Subscription]) -> None:
        """Serve channels of one push stream from now on."""
        self.served(group, None, recovered=False)
        for subscription in group:
            self.hub.add(subscription)

    def served(
        self, group: Sequence[Subscription], since: Position | None, recovered: bool
    ) -> None:
        """Tell that these channels are served, from ``since`` where that is recovered."""

    def end_if_empty(self) -> None:
        """End a stream that has nothing to serve."""
        if not self.subscriptions:
            self.close(Close.MEMBERSHIP_ENDED, NOTHING_LEFT)

    def say(self, name: str, **members: Any) -> bytes:
        """A message of ours, as the client wants them."""
        return sse(name, members)

    async def end(self, code: Close, reason: str) -> None:
        if self._response.prepared:
            await self._response.write(self.say("close", code=int(code), reason=reason))
        self.done.set()

    def abort(self) -> None:
        self._transport.abort()
        self.done.set()

    async def serve(
        self,
        channels: list[str],
        refused: Mapping[str, DomainError],
        since: Mapping[int, Position] | None,
        watched: list[str],
    ) -> None:
        """Deliver until the connection ends."""
        by_shard: dict[int, list[Subscription]] = {}
        for channel in channels:
            subscription = self.hub.subscription(self, channel)
            self.subscriptions[channel] = subscription
            by_shard.setdefault(subscription.shard, []).append(subscription)
        # Of those refused, too: a cursor of nothing would be none.
        named = {self.hub.subscription(self, channel).shard for channel in refused}
        for shard in named.union(by_shard):
            held_back = since.get(shard) if since is not None else None
            self.positions[shard] = held_back or self.hub.position(shard)
        # An id without data sets the browser's last event id, and dispatches nothing.
        self.outbox.offer(f": welcome\nretry: {retry_ms()}\nid: {self.cursor}\n\n".encode())
        for channel, error in refused.items():
            self.refused(channel, error)
        resumed = []
        for shard, group in by_shard.items():
            if since is None or (shard not in since and self.begins(since)):
                self.begin(group)
            else:
                resumed.append((group, since.get(shard)))
        if resumed:
            self.start(self._resume(resumed, watched))
        else:
            self._watch(watched)
        await self._beat()

    def _watch(self, channels: list[str]) -> None:
        """For channels that are served: what never was has no end that would end its watch."""
        for channel in self.subscriptions.keys() & set(channels):
            self._realtime.presence.watches.watch(self.subscriptions[channel])

    async def _resume(
        self,
        groups: Sequence[tuple[Sequence[Subscription], Position | None]],
        watched: list[str],
    ) -> None:
        try:
            for group, since in groups:
                announce = partial(self.served, group, since)
                await self._realtime.history.resume(self, group, since, announce)
            self._watch(watched)
        except Exception as error:
            log.warning("resume_failed", reason=str(error)[:200])
            self.close(Close.TRY_AGAIN_LATER, "realtime is not available")

    async def _beat(self) -> None:
        while not self.done.is_set() and not (self.outbox.closed and self.ending is None):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.done.wait(), self._realtime.settings.heartbeat)
            if not self.done.is_set() and self.ending is None:
                self._advance()
                self.outbox.offer(f"id: {self.cursor}\n".encode() + self.heartbeat)

    def _advance(self) -> None:
        """Channels may be quiet while their push stream moves on, and is trimmed."""
        for shard in self.positions:
            ours = [each for each in self.subscriptions.values() if each.shard == shard]
            if ours and all(self.hub.serves(each) for each in ours):
                self.positions[shard] = self.hub.position(shard)
