"""The event stream of a browser's EventSource: one request, one or more channels.

An EventSource comes back by itself, after as long as ``retry:`` says, when its connection
breaks or the stream ends; after any answer but 200 it stops for good. So whatever passes by
itself is answered with a stream that says ``close`` and ends, and only what another try would
not change is answered with a status: 400, 401, 403, 404, 429.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Mapping
from typing import ClassVar

import structlog
from aiohttp import web

from bus.feed.push_cursor import Position, decode, encode, secret_of, with_secret
from contracts.errors import DomainError, ErrorKind
from contracts.realtime.errors import (
    ChannelMissing,
    CursorInvalid,
    FrameInvalid,
    RealtimeUnavailable,
    TooManySubscriptions,
)
from handlers.notifier.copies import comes_elsewhere
from handlers.notifier.frames import Frame, Hint, Told, snapshot, sse
from handlers.notifier.metrics import CONNECTS
from handlers.notifier.outbox import Outbox
from handlers.notifier.peer import Close, Peer, Subscription
from handlers.notifier.presence.asking import watched_channels
from handlers.notifier.routing import is_channel
from handlers.notifier.silence import end_when_silent
from handlers.notifier.state import REALTIME, Realtime
from infra.event_streams import EventStream

log = structlog.get_logger(__name__)

MEDIA_TYPE = "text/event-stream"
HEADERS = {
    "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
RETRY_MS = 2000
"""About how long a client waits before it comes back: half of it more or less, so that those
of a notifier that went do not all come at once."""
REMEMBERED = 64
"""Events that came over two push streams, and of which the second copy is left out."""


class SsePeer(Peer):
    """One event stream. Each event comes once, however many of its channels it is on."""

    transport: ClassVar[str] = "sse"
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
        ended = {"channel": channel, "code": error.code, "detail": error.detail}
        self.outbox.offer(sse("unsubscribed", ended))
        if not self.subscriptions:
            self.close(Close.MEMBERSHIP_ENDED, "no channel is left")

    async def end(self, code: Close, reason: str) -> None:
        if self._response.prepared:
            await self._response.write(sse("close", {"code": int(code), "reason": reason}))
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
        for shard in by_shard:
            held_back = since.get(shard) if since is not None else None
            self.positions[shard] = held_back or self.hub.position(shard)
        # An id without data sets the browser's last event id, and dispatches nothing.
        self.outbox.offer(f": welcome\nretry: {_retry()}\nid: {self.cursor}\n\n".encode())
        for channel, error in refused.items():
            self.dropped(channel, error)
        if since is None:
            for subscription in self.subscriptions.values():
                self.hub.add(subscription)
            self._watch(watched)
        else:
            self.start(self._resume(list(by_shard.values()), since, watched))
        await self._beat()

    def _watch(self, channels: list[str]) -> None:
        """For channels that are served: what never was has no end that would end its watch."""
        for channel in self.subscriptions.keys() & set(channels):
            self._realtime.presence.watches.watch(self.subscriptions[channel])

    async def _resume(
        self,
        groups: list[list[Subscription]],
        since: Mapping[int, Position],
        watched: list[str],
    ) -> None:
        try:
            for group in groups:
                position = since.get(group[0].shard)
                await self._realtime.history.resume(self, group, position, lambda recovered: None)
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
                self.outbox.offer(f": heartbeat\nid: {self.cursor}\n\n".encode())

    def _advance(self) -> None:
        """Channels may be quiet while their push stream moves on, and is trimmed."""
        for shard in self.positions:
            ours = [each for each in self.subscriptions.values() if each.shard == shard]
            if ours and all(self.hub.serves(each) for each in ours):
                self.positions[shard] = self.hub.position(shard)


async def connect(request: web.Request) -> web.StreamResponse:
    """GET /v1/realtime/sse?ticket=&channel=…&since="""
    realtime = request.app[REALTIME]
    realtime.check_open()
    realtime.door.check_origin(request)
    realtime.door.ticket_of(request)
    transport = request.transport
    # What is wrong with the request itself is said before its ticket is spent.
    channels = _channels(request, realtime.settings.subscriptions)
    watched = watched_channels(request, channels)
    last_id = _one(request.headers.getall("Last-Event-ID", []))
    given = last_id or _one(request.query.getall("since", []))
    since = decode(given, realtime.hub.shards) if given else None
    secret = secret_of(last_id) if last_id else None
    stream = await realtime.door.admit_stream(request, channels, secret)
    response = web.StreamResponse(headers=HEADERS)
    response.force_close()
    assert transport is not None
    end_when_silent(transport, realtime.settings.heartbeat)
    peer = SsePeer(realtime, stream, response, transport)
    realtime.hub.join(peer)
    realtime.keeper.take(peer)
    try:
        refused = await _authorise(peer, realtime, channels)
        realtime.check_open()
        if peer.ending is not None:
            raise RealtimeUnavailable()
        await response.prepare(request)
        CONNECTS.labels("sse", "resumed" if stream.resumed else "opened").inc()
        await peer.serve(
            [each for each in channels if each not in refused], refused, since, watched
        )
    finally:
        realtime.keeper.release(peer)
        await peer.gone()
    return response


def wants_stream(request: web.Request) -> bool:
    """Whether who asks reads event streams, as every EventSource does."""
    return MEDIA_TYPE in request.headers.get("Accept", "")


def again(request: web.Request, error: DomainError) -> web.Response:
    """A stream that says to come back, and ends: for a refusal that passes by itself."""
    # An id goes with it: where a stream's first event has none, the client may forget its own.
    last_id = request.headers.get("Last-Event-ID", "")
    try:
        secret_of(last_id)
    except CursorInvalid:
        last_id = ""
    wait = _retry() + int(1000 * (error.retry_after or 0))
    gone = sse("close", {"code": int(Close.TRY_AGAIN_LATER), "reason": error.detail}, last_id)
    return web.Response(body=f"retry: {wait}\n".encode() + gone, headers=HEADERS)


def passes(error: DomainError) -> bool:
    """Whether a refusal may be over at the next try."""
    return error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.INTERNAL)


async def _authorise(
    peer: SsePeer, realtime: Realtime, channels: list[str]
) -> dict[str, DomainError]:
    """The channels the user may not see, and why. Raises a DomainError unless some are left.

    A stream begins with all of its channels or not at all. One that goes on has lost those
    that are gone by now, and its client cannot name others.
    """
    while True:
        authority = peer.authority
        refused: dict[str, DomainError] = {}
        for channel in channels:
            try:
                await peer.authorise(realtime.authorise, channel)
            except DomainError as error:
                if not peer.stream.resumed or passes(error):
                    raise
                refused[channel] = error
        if authority == peer.authority:
            break
    if len(refused) == len(channels):
        raise refused[channels[0]]
    return refused


def _retry() -> int:
    return int(RETRY_MS * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads them


def _one(given: list[str]) -> str:
    if len(given) > 1:
        raise CursorInvalid("Two cursors were given where one is meant.")
    return given[0] if given else ""


def _channels(request: web.Request, limit: int) -> list[str]:
    channels = list(dict.fromkeys(request.query.getall("channel", [])))
    if not channels:
        raise ChannelMissing()
    if len(channels) > limit:
        raise TooManySubscriptions(f"A connection may have {limit} channels.")
    if not all(is_channel(channel) for channel in channels):
        raise FrameInvalid("channel must be a text such as org or project:{id}.")
    return channels
