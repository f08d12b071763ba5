"""Knows who listens to what, and hands each entry of the push streams to all of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from redis.asyncio import Redis

from bus import streams
from bus.feed.push_cursor import Position, encode
from bus.feed.pushed import key_in, scope_of
from bus.streams import address_of
from handlers.notifier.frames import Burst, Entry, Frame, Hint
from handlers.notifier.metrics import (
    DELIVERIES,
    HINTS,
    LATENCY,
    PUSH_LATENCY,
    SOCKETS,
    SUBSCRIPTIONS,
)
from handlers.notifier.peer import Peer, Subscription
from handlers.notifier.reader import PushReader

log = structlog.get_logger(__name__)

REMEMBERED = 100_000
"""Events a hub knows it has shown. It matters after Redis lost its data: what was published
shortly before is published again then, and the marks in Redis that told are gone."""
TOGETHER_BYTES = 16 * 1024
"""Events after which no more are put into one write."""


class Hub:
    """The connections of this process and the index of their channels.

    ``on_control`` is called after an entry with a control was delivered; ``on_gap`` when
    entries of a push stream were lost before they were read, with those who missed them;
    ``on_served`` and ``on_ended`` with each subscription, once.
    """

    def __init__(self, redis: Redis, *, shards: int) -> None:
        self.shards = shards
        self.peers: dict[str, set[Peer]] = {}
        """Connections by user."""
        self.on_control: Callable[[str], None] = lambda control: None
        self.on_gap: Callable[[set[Peer]], None] = lambda peers: None
        self.on_served: list[Callable[[Subscription], None]] = []
        self.on_ended: list[Callable[[Subscription], None]] = []
        self.reader = PushReader(redis, shards, hand_on=self._deliver, on_gap=self._gap)
        self._index: dict[str, dict[Subscription, None]] = {}
        self._shown: dict[str, None] = {}

    def position(self, shard: int) -> Position:
        """The last entry of a push stream that was delivered to those who listen."""
        return self.reader.position(shard)

    def cursor(self, shard: int, position: Position | None = None) -> str:
        """A cursor of a position in one push stream, the present one unless given."""
        return encode(self.shards, {shard: position or self.position(shard)})

    def subscription(self, peer: Peer, channel: str) -> Subscription:
        """A subscription that is not yet served; see ``add``."""
        scope = peer.ticket.user if channel == "me" else peer.ticket.org
        shard = streams.shard_of(scope, self.shards)
        return Subscription(peer, channel, address_of(scope, channel), shard)

    def join(self, peer: Peer) -> None:
        """Know a connection."""
        self.peers.setdefault(peer.ticket.user, set()).add(peer)
        SOCKETS.labels(peer.transport).inc()

    def leave(self, peer: Peer) -> None:
        """Forget a connection and its channels. Can be repeated."""
        known = self.peers.get(peer.ticket.user)
        if known is None or peer not in known:
            return
        known.discard(peer)
        if not known:
            del self.peers[peer.ticket.user]
        SOCKETS.labels(peer.transport).dec()
        for subscription in peer.subscriptions.values():
            self.remove(subscription)
        peer.subscriptions.clear()

    def everyone(self) -> list[Peer]:
        """All connections."""
        return [peer for peers in self.peers.values() for peer in peers]

    def add(self, subscription: Subscription, held: deque[Frame] | None = None) -> None:
        """Serve a subscription from the next entry on; into ``held`` when that is given."""
        if subscription.over or subscription.peer not in self.peers.get(
            subscription.peer.ticket.user, ()
        ):
            return
        subscription.held = held
        served = self._index.setdefault(subscription.address, {})
        if subscription not in served:
            served[subscription] = None
            SUBSCRIPTIONS.inc()
            for call in self.on_served:
                call(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Serve it no more, and never again. Can be repeated."""
        subscription.over = True
        served = self._index.get(subscription.address)
        if served is None or subscription not in served:
            return
        del served[subscription]
        SUBSCRIPTIONS.dec()
        if not served:
            del self._index[subscription.address]
        for call in self.on_ended:
            call(subscription)

    def serves(self, subscription: Subscription) -> bool:
        """Whether the subscription gets each new entry as it is read."""
        served = self._index.get(subscription.address, {})
        return subscription in served and subscription.held is None

    def show(self, entry: Entry) -> bool:
        """Note that an entry is shown to somebody. False when its event was shown before."""
        if not entry.id or not entry.to:
            return True
        key = key_in(scope_of(entry.to[0]), entry.id.decode())
        if key in self._shown:
            return False
        self.know([key])
        return True

    def know(self, keys: Iterable[str]) -> None:
        """Show events no more: all who listen had them, wherever they did (``key_in``)."""
        for key in keys:
            self._shown[key] = None
        while len(self._shown) > REMEMBERED:
            del self._shown[next(iter(self._shown))]

    def _deliver(self, entries: Sequence[Entry]) -> int:
        run: list[Frame] = []
        address, size, writes = "", 0, 0
        for entry in entries:
            heard = [each for each in entry.to if each in self._index]
            if not (heard or entry.control) or not self.show(entry):
                continue
            if run and (heard != [address] or size > TOGETHER_BYTES):
                writes += self._write(address, run)
                run, size = [], 0
            for address in heard:
                frame = Frame(entry, address.partition("/")[2], self.shards)
                if len(heard) == 1:
                    run.append(frame)
                    size += len(entry.event)
                else:
                    writes += self._write(address, [frame])
            if heard:
                at = time.time()
                LATENCY.observe(max(0.0, at - entry.at / 1000))
                PUSH_LATENCY.observe(max(0.0, at - entry.position[0] / 1000))
            if entry.control:
                writes += self._write(address, run)
                run, size = [], 0
                self._obey(entry.control)
        return writes + self._write(address, run)

    def _obey(self, control: str) -> None:
        try:
            self.on_control(control)
        except Exception:
            log.exception("control_failed", control=control)

    def _write(self, address: str, frames: list[Frame]) -> int:
        """Hand frames to all who listen to their channel; how many do."""
        served = self._index.get(address)
        if not served or not frames:
            return 0
        burst = Burst(frames)
        # A copy: a connection that is cut leaves the index at once.
        audience = tuple(served)
        for subscription in audience:
            try:
                subscription.take(burst)
            except Exception:
                # One bad connection must not keep the event from the others.
                log.exception("delivery_failed", channel=subscription.channel)
        DELIVERIES.inc(len(audience) * len(frames))
        return len(audience)

    def hint(self, address: str, progress: Mapping[str, Any]) -> None:
        """Tell those who listen to a channel now how far some work is."""
        served = self._index.get(address)
        if not served:
            return
        hint = Hint(address.partition("/")[2], progress)
        for subscription in tuple(served):
            if subscription.held is None:
                subscription.peer.hint(hint)
                HINTS.inc()

    def _gap(self, shard: int) -> None:
        missed: dict[Peer, list[Subscription]] = {}
        for served in self._index.values():
            for subscription in served:
                if subscription.shard == shard:
                    missed.setdefault(subscription.peer, []).append(subscription)
        for peer, subscriptions in missed.items():
            peer.lost(subscriptions)
        self.on_gap(set(missed))
