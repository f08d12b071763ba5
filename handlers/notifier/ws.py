"""The WebSocket: a JSON object per text message, named by its ``op``."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

import structlog
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from contracts.errors import DomainError
from contracts.realtime.errors import (
    FrameInvalid,
    RealtimeUnavailable,
    UpgradeMissing,
)
from handlers.notifier.conversation import Conversation
from handlers.notifier.frames import Frame, Hint, Text, Told, op
from handlers.notifier.outbox import Outbox
from handlers.notifier.peer import Close, Peer, Subscription
from handlers.notifier.state import REALTIME, Realtime
from infra.tickets import Ticket

log = structlog.get_logger(__name__)

FRAMES_PER_SECOND = 50
BURST = 100
DIRECT_LIMIT = 32 * 1024
"""Bytes a socket may have unsent and still be written to at once."""


class WsPeer(Peer):
    """One WebSocket."""

    transport: ClassVar[str] = "ws"
    outbox: Outbox[Text]

    def __init__(
        self,
        realtime: Realtime,
        ticket: Ticket,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
    ) -> None:
        super().__init__(realtime.hub, ticket, hold_limit=realtime.settings.queue_limit)
        self._realtime = realtime
        self._socket = socket
        self._transport = transport
        self._allowance = float(BURST)
        self._counted = time.monotonic()
        self._answered = asyncio.Event()
        self.outbox = Outbox(
            realtime.settings.queue_limit,
            send=self._send,
            direct=self._write,
            overflow=self.overflow,
        )
        self._conversation = Conversation(realtime, self)

    def deliver(self, frame: Frame) -> None:
        self.outbox.offer(frame.text)

    def hint(self, hint: Hint) -> None:
        self.outbox.spare(hint.text)

    def tell(self, told: Told) -> None:
        self.outbox.offer(told.text)

    def lost(self, subscriptions: list[Subscription]) -> None:
        for each in subscriptions:
            cursor = self.hub.cursor(each.shard)
            self.outbox.offer(op("reset", channel=each.channel, cursor=cursor))

    def dropped(self, channel: str, error: DomainError) -> None:
        self._conversation.forget(channel)
        self.outbox.offer(op("unsubscribed", channel=channel, code=error.code, detail=error.detail))

    async def end(self, code: Close, reason: str) -> None:
        # Not socket.close(): beside a reader, it would close without waiting for the answer,
        # and a client could lose the code.
        await self._socket.send_frame(int(code).to_bytes(2) + reason.encode(), WSMsgType.CLOSE)
        await self._answered.wait()
        self._transport.close()

    async def serve(self) -> None:
        """Act on what the client sends, until either side has ended the connection."""
        try:
            async for message in self._socket:
                if self.ending is None:
                    await self.receive(message)
            if self.ending is None:
                await self._socket.close(code=self._socket.close_code or WSCloseCode.OK)
        finally:
            self._answered.set()

    def abort(self) -> None:
        self._transport.abort()

    async def receive(self, message: WSMessage) -> None:
        """Act on what the client sent."""
        if not self._afford():
            self.close(Close.FLOOD, "too many messages")
            return
        if message.type is WSMsgType.PING:
            await self._socket.pong(message.data)
        elif message.type is WSMsgType.TEXT:
            self._conversation.hear(message.data)
        elif message.type is WSMsgType.BINARY:
            self._conversation.complain(FrameInvalid())

    def _afford(self) -> bool:
        at = time.monotonic()
        self._allowance = min(BURST, self._allowance + (at - self._counted) * FRAMES_PER_SECOND)
        self._counted = at
        self._allowance -= 1
        return self._allowance >= 0

    def _write(self, text: Text) -> bool:
        transport = self._transport
        if self._socket.closed or transport.is_closing():
            return True  # nobody is there to read it
        if transport.get_write_buffer_size() > DIRECT_LIMIT:
            return False
        transport.write(text.wire)
        return True

    async def _send(self, text: Text) -> None:
        await self._socket.send_frame(text.payload, WSMsgType.TEXT)


async def connect(request: web.Request) -> web.StreamResponse:
    """GET /v1/realtime/ws?ticket="""
    realtime = request.app[REALTIME]
    realtime.check_open()
    realtime.door.check_origin(request)
    socket = web.WebSocketResponse(
        heartbeat=realtime.settings.heartbeat,
        max_msg_size=realtime.settings.message_limit,
        compress=False,
        autoping=False,
        autoclose=False,
        # Each queued frame waits until the client takes it, so that the queue is what fills.
        writer_limit=1,
    )
    transport = request.transport
    if transport is None or not socket.can_prepare(request):
        raise UpgradeMissing()
    ticket = await realtime.door.admit(request)
    await socket.prepare(request)
    peer = WsPeer(realtime, ticket, socket, transport)
    realtime.hub.join(peer)
    try:
        realtime.check_open()
        await peer.serve()
    except RealtimeUnavailable:
        peer.close(Close.GOING_AWAY, "the notifier is stopping")
        await peer.serve()
    finally:
        await peer.gone()
    return socket
