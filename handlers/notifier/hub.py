"""Reads the push streams and hands each entry to every connection that wants it.

Every notifier reads all entries of all push streams, on a connection of its own and without
a group: the sockets of an event's audience may be anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from bus import streams
from handlers.notifier.cursor import Position, encode, format_id, parse_id
from handlers.notifier.frames import Entry, Frame
from handlers.notifier.metrics import DELIVERIES, ENTRIES, GAPS, LATENCY, SOCKETS, SUBSCRIPTIONS
from handlers.notifier.peer import Peer, Subscription
from handlers.notifier.routing import address_of

log = structlog.get_logger(__name__)

BLOCK_MS = 1000
COUNT = 256
VERIFY_EVERY = 1.0
YIELD_AFTER = 1000
"""Deliveries after which other tasks get their turn."""
QUIET_LIMIT = 5.0
"""Seconds without an answer from Redis after which the hub is not ready."""

_BEFORE_ALL: Position = (0, 0)


@dataclass(slots=True)
class _Shard:
    number: int
    stream: str
    position: Position = _BEFORE_ALL
    """The last entry that was handed on."""
    added: int | None = None
    """What Redis counts as ever added to the stream, at ``position``; None when not known."""


class Hub:
    """Index of who listens to what, and the reader that serves it.

    ``on_control`` is called after an entry with a control was delivered; ``on_gap`` when
    entries of a push stream were lost before they were read, with those who missed them.
    """

    def __init__(self, redis: Redis, *, shards: int) -> None:
        self.shards = shards
        self.peers: dict[str, set[Peer]] = {}
        self.on_control: Callable[[str], None] = lambda control: None
        self.on_gap: Callable[[set[Peer]], None] = lambda peers: None
        self._redis = redis
        self._shards = [_Shard(number, streams.push(number)) for number in range(shards)]
        self._by_stream = {shard.stream.encode(): shard for shard in self._shards}
        self._index: dict[str, dict[Subscription, None]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._heard = 0.0

    async def start(self) -> None:
        """Begin to read at the present end of the streams. Raises redis.RedisError."""
        for shard in self._shards:
            await self._begin(shard)
        self._heard = time.monotonic()
        self._reader = asyncio.create_task(self._read(), name="hub")

    async def stop(self) -> None:
        """Read no more."""
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader

    @property
    def ready(self) -> bool:
        """Whether the streams are being read."""
        alive = self._reader is not None and not self._reader.done()
        return alive and time.monotonic() - self._heard < QUIET_LIMIT

    def position(self, shard: int) -> Position:
        """The last entry of a push stream that was handed on."""
        return self._shards[shard].position

    def cursor(self, shards: Iterable[int]) -> str:
        """A cursor of the present positions."""
        return encode(self.shards, {shard: self.position(shard) for shard in shards})

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
        if subscription.peer not in self.peers.get(subscription.peer.ticket.user, ()):
            return
        subscription.held = held
        served = self._index.setdefault(subscription.address, {})
        if subscription not in served:
            served[subscription] = None
            SUBSCRIPTIONS.inc()

    def remove(self, subscription: Subscription) -> None:
        """Serve it no more. Can be repeated."""
        served = self._index.get(subscription.address)
        if served is None or subscription not in served:
            return
        del served[subscription]
        SUBSCRIPTIONS.dec()
        if not served:
            del self._index[subscription.address]

    async def _read(self) -> None:
        verified = 0.0
        while True:
            try:
                positions = {each.stream: format_id(each.position) for each in self._shards}
                reply = await self._redis.xread(positions, count=COUNT, block=BLOCK_MS)  # type: ignore[arg-type]
                for stream, entries in reply:
                    await self._hand_on(self._by_stream[stream], entries)
                if time.monotonic() - verified >= VERIFY_EVERY:
                    for shard in self._shards:
                        await self._verify(shard)
                    verified = time.monotonic()
                self._heard = time.monotonic()
            except (RedisError, OSError) as error:
                log.warning("push_streams_away", reason=str(error)[:200])
                verified = 0.0
                await asyncio.sleep(0.2)
            except Exception:
                log.exception("hub_failed")
                await asyncio.sleep(0.2)

    async def _hand_on(
        self, shard: _Shard, entries: list[tuple[bytes, dict[bytes, bytes]]]
    ) -> None:
        delivered = 0
        for id, fields in entries:
            shard.position = parse_id(id)
            if shard.added is not None:
                shard.added += 1
            try:
                delivered += self._deliver(Entry(shard.number, shard.position, fields))
            except Exception:
                # One bad entry, or one bad connection, must not keep the next from anybody.
                log.exception("entry_failed", stream=shard.stream, entry=id)
            if delivered >= YIELD_AFTER:
                delivered = 0
                await asyncio.sleep(0)
        ENTRIES.labels(str(shard.number)).inc(len(entries))

    def _deliver(self, entry: Entry) -> int:
        count = 0
        for address in entry.to:
            served = self._index.get(address)
            if served:
                frame = Frame(entry, address.partition("/")[2], self.shards)
                for subscription in tuple(served):
                    subscription.take(frame)
                count += len(served)
        if count:
            DELIVERIES.inc(count)
            LATENCY.observe(max(0.0, time.time() - entry.at / 1000))
        if entry.control:
            self.on_control(entry.control)
        return count

    async def _begin(self, shard: _Shard) -> None:
        """Go to the end of the stream, where there is always an entry: see ``_verify``."""
        added, last = await self._tail(shard)
        if added == 0:
            await self._redis.xadd(shard.stream, {"to": ""})
            added, last = await self._tail(shard)
        shard.added, shard.position = added, last

    async def _verify(self, shard: _Shard) -> None:
        """Find out whether entries were lost before they were read.

        Redis counts what was ever added. At the end of the stream, it must be what was read;
        if it is less, the stream was made anew, by a flush or another server. A position
        always names an entry that was in the stream, so that a cursor of another stream is
        found out: hence the entry that an empty stream is begun with.
        """
        added, last = await self._tail(shard)
        if added == 0:
            await self._redis.xadd(shard.stream, {"to": ""})
            shard.position, shard.added = _BEFORE_ALL, 0
            self._gap(shard)
        elif shard.added is not None and added < shard.added:
            if last < shard.position:
                shard.position, shard.added = _BEFORE_ALL, 0
            else:
                shard.added = added if last == shard.position else None
            self._gap(shard)
        elif last == shard.position:
            missing = shard.added is not None and added > shard.added
            shard.added = added
            if missing:
                self._gap(shard)

    async def _tail(self, shard: _Shard) -> tuple[int, Position]:
        try:
            info = await self._redis.xinfo_stream(shard.stream)
        except ResponseError as error:
            if "no such key" in str(error):
                return 0, _BEFORE_ALL
            raise
        return int(info["entries-added"]), parse_id(info["last-generated-id"])

    def _gap(self, shard: _Shard) -> None:
        log.warning("push_stream_gap", stream=shard.stream)
        GAPS.labels(str(shard.number)).inc()
        missed: dict[Peer, list[Subscription]] = {}
        for served in self._index.values():
            for subscription in served:
                if subscription.shard == shard.number:
                    missed.setdefault(subscription.peer, []).append(subscription)
        for peer, subscriptions in missed.items():
            peer.lost(subscriptions)
        self.on_gap(set(missed))
