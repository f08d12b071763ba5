"""Knows who listens to what, and hands each entry of the push streams to all of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from redis.asyncio import Redis

from bus import streams
from bus.feed.push_cursor import Position, encode
from bus.streams import address_of
from handlers.notifier.frames import Entry, Frame, Hint
from handlers.notifier.metrics import DELIVERIES, HINTS, LATENCY, SOCKETS, SUBSCRIPTIONS
from handlers.notifier.peer import Peer, Subscription
from handlers.notifier.reader import PushReader

REMEMBERED = 100_000
"""Events a hub knows it has shown. It matters after Redis lost its data: what was published
shortly before is published again then, and the marks in Redis that told are gone."""


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
        self._shown: dict[bytes, None] = {}

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
        key = b"%b %b" % (entry.id, entry.to[0].encode())
        if key in self._shown:
            return False
        self._shown[key] = None
        if len(self._shown) > REMEMBERED:
            del self._shown[next(iter(self._shown))]
        return True

    def _deliver(self, entry: Entry) -> int:
        heard = entry.control or any(address in self._index for address in entry.to)
        if not heard or not self.show(entry):
            return 0
        count = 0
        for address in entry.to:
            served = self._index.get(address)
            if served:
                frame = Frame(entry, address.partition("/")[2], self.shards)
                # A copy: a connection that is cut leaves the index at once.
                for subscription in tuple(served):
                    subscription.take(frame)
                count += len(served)
        if count:
            DELIVERIES.inc(count)
            LATENCY.observe(max(0.0, time.time() - entry.at / 1000))
        if entry.control:
            self.on_control(entry.control)
        return count

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
