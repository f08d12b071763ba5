"""The event stream of a browser's EventSource: one request, one or more channels."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from typing import ClassVar

import structlog
from aiohttp import web

from bus.feed.push_cursor import Position, decode, encode
from contracts.errors import DomainError
from contracts.realtime.errors import ChannelMissing, FrameInvalid, TooManySubscriptions
from handlers.notifier.frames import Frame, Hint, Told, sse
from handlers.notifier.outbox import Outbox
from handlers.notifier.peer import Close, Peer, Subscription
from handlers.notifier.presence.asking import watched_channels
from handlers.notifier.routing import is_channel
from handlers.notifier.state import REALTIME, Realtime
from infra.tickets import Ticket

log = structlog.get_logger(__name__)

RETRY_MS = 2000
REMEMBERED = 64
"""Events that came over two push streams, and of which the second copy is left out."""


class SsePeer(Peer):
    """One event stream. Each event comes once, however many of its channels it is on."""

    transport: ClassVar[str] = "sse"
    outbox: Outbox[bytes]

    def __init__(
        self,
        realtime: Realtime,
        ticket: Ticket,
        response: web.StreamResponse,
        transport: asyncio.Transport,
    ) -> None:
        super().__init__(realtime.hub, ticket, hold_limit=realtime.settings.queue_limit)
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
        """Where this stream resumes."""
        return encode(self.hub.shards, self.positions)

    def deliver(self, frame: Frame) -> None:
        entry = frame.entry
        if self.positions.get(entry.shard) == entry.position:
            return
        self.positions[entry.shard] = entry.position
        if entry.copies > 1:
            if entry.id in self._twice:
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
            self.outbox.offer(sse("reset", {"channel": each.channel}, self.cursor))

    def dropped(self, channel: str, error: DomainError) -> None:
        ended = {"channel": channel, "code": error.code, "detail": error.detail}
        self.outbox.offer(sse("unsubscribed", ended))
        if not self.subscriptions:
            self.close(Close.MEMBERSHIP_ENDED, "no channel is left")

    async def end(self, code: Close, reason: str) -> None:
        await self._response.write(sse("close", {"code": int(code), "reason": reason}))
        self.done.set()

    def abort(self) -> None:
        self._transport.abort()
        self.done.set()

    async def serve(
        self, channels: list[str], since: Mapping[int, Position] | None, watched: list[str]
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
        self.outbox.offer(f": welcome\nretry: {RETRY_MS}\nid: {self.cursor}\n\n".encode())
        if since is None:
            for subscription in self.subscriptions.values():
                self.hub.add(subscription)
        else:
            self.start(self._resume(list(by_shard.values()), since))
        for channel in watched:
            self._realtime.presence.watches.watch(self.subscriptions[channel])
        await self._beat()

    async def _resume(
        self, groups: list[list[Subscription]], since: Mapping[int, Position]
    ) -> None:
        try:
            for group in groups:
                position = since.get(group[0].shard)
                await self._realtime.history.resume(self, group, position, lambda recovered: None)
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
    transport = request.transport
    ticket = await realtime.door.admit(request)
    channels = _channels(request, realtime.settings.subscriptions)
    watched = watched_channels(request, channels)
    given = request.headers.get("Last-Event-ID") or request.query.get("since")
    since = decode(given, realtime.hub.shards) if given else None
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    response.force_close()
    assert transport is not None
    peer = SsePeer(realtime, ticket, response, transport)
    realtime.hub.join(peer)
    try:
        authority = await peer.authorise(realtime.authorise, *channels)
        realtime.check_open()
        await response.prepare(request)
        if authority != peer.authority:
            peer.close(Close.TRY_AGAIN_LATER, "permissions have just changed")
        await peer.serve(channels, since, watched)
    finally:
        await peer.gone()
    return response


def _channels(request: web.Request, limit: int) -> list[str]:
    channels = list(dict.fromkeys(request.query.getall("channel", [])))
    if not channels:
        raise ChannelMissing()
    if len(channels) > limit:
        raise TooManySubscriptions(f"A connection may have {limit} channels.")
    if not all(is_channel(channel) for channel in channels):
        raise FrameInvalid("channel must be a text such as org or project:{id}.")
    return channels
