"""The WebSocket: a JSON object per text message, named by its ``op``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

import structlog
from aiohttp import web

from contracts.errors import DomainError
from contracts.realtime.errors import FrameInvalid
from handlers.notifier.conversation import Conversation
from handlers.notifier.frames import Burst, Frame, Hint, Told, op, snapshot
from handlers.notifier.metrics import CONNECTS, CUTS
from handlers.notifier.outbox import SocketOutbox
from handlers.notifier.peer import Close, Peer, Subscription
from handlers.notifier.state import REALTIME, Realtime
from handlers.notifier.wire.handshake import accept_key, upgrade
from handlers.notifier.wire.socket import Socket
from infra.tickets import Ticket

log = structlog.get_logger(__name__)


class WsPeer(Peer):
    """One WebSocket."""

    transport: ClassVar[str] = "ws"
    outbox: SocketOutbox

    def __init__(self, realtime: Realtime, ticket: Ticket, give_back: Callable[[], None]) -> None:
        limits = realtime.settings
        super().__init__(realtime.hub, ticket, hold_limit=limits.queue_limit)
        self.socket = Socket(self, realtime.pulse, limits.message_limit)
        self.outbox = SocketOutbox(limits.queue_limit, self.overflow)
        self._conversation = Conversation(realtime, self)
        self._give_back = give_back
        self._since = time.monotonic()

    def deliver(self, frame: Frame) -> None:
        self.outbox.offer(frame.text)

    def deliver_all(self, burst: Burst) -> None:
        outbox = self.outbox
        if outbox.ready:
            outbox.write(burst.text)
        else:
            for frame in burst.frames:
                outbox.offer(frame.text)

    def hint(self, hint: Hint) -> None:
        self.outbox.spare(hint.text)

    def tell(self, told: Told) -> None:
        self.outbox.offer(told.text)

    def lost(self, subscriptions: list[Subscription]) -> None:
        for each in subscriptions:
            cursor = self.hub.cursor(each.shard)
            path = snapshot(self.ticket.org, each.channel)
            self.outbox.offer(op("reset", channel=each.channel, cursor=cursor, snapshot=path))

    def dropped(self, channel: str, error: DomainError) -> None:
        self._conversation.forget(channel)
        self.outbox.offer(op("unsubscribed", channel=channel, code=error.code, detail=error.detail))

    def close(self, code: Close, reason: str) -> None:
        if not self.socket.ended:
            super().close(code, reason)

    async def end(self, code: Close, reason: str) -> None:
        self.outbox.close(drop=True)
        await self.socket.close(code, reason)

    def abort(self) -> None:
        self.socket.abort()

    def on_open(self, write: Callable[[bytes], None]) -> None:
        self.outbox.open(write)

    def on_text(self, text: str) -> None:
        if self.ending is None:
            self._conversation.hear(text)

    def on_binary(self) -> None:
        if self.ending is None:
            self._conversation.complain(FrameInvalid())

    def on_ping(self, pong: bytes) -> None:
        if self.ending is None:
            self.outbox.offer(pong)

    def on_full(self) -> None:
        self.outbox.pause()

    def on_room(self) -> None:
        self.outbox.resume()

    def on_end(self, code: int, *, fault: bool) -> None:
        if fault:
            CUTS.labels(self.transport, str(int(code))).inc()
        self.hub.leave(self)
        self.cancel_tasks()
        self.outbox.close(drop=True)
        self._give_back()
        log.info("socket_ended", code=int(code), seconds=round(time.monotonic() - self._since, 1))


async def connect(request: web.Request) -> web.StreamResponse:
    """GET /v1/realtime/ws?ticket="""
    realtime = request.app[REALTIME]
    realtime.check_open()
    realtime.door.check_origin(request)
    accept = accept_key(request)
    ticket = await realtime.door.admit(request)
    realtime.check_open()
    give_back = realtime.door.keep(request)
    peer = WsPeer(realtime, ticket, give_back)
    realtime.hub.join(peer)
    CONNECTS.labels("ws", "opened").inc()
    try:
        response = await upgrade(request, accept, peer.socket)
    except BaseException:
        realtime.hub.leave(peer)
        give_back()
        raise
    if peer.ending is not None:
        peer.abort()  # it was ended before it could be told
    return response
