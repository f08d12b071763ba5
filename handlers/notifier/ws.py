"""The WebSocket: a JSON object per text message, named by its ``op``."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

import structlog
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from bus.feed.push_cursor import decode
from contracts.errors import DomainError
from contracts.realtime.errors import (
    AlreadySubscribed,
    FrameInvalid,
    OpUnknown,
    RealtimeUnavailable,
    TooManySubscriptions,
    UpgradeMissing,
)
from handlers.notifier.client_frames import channel_of, parse, since_of
from handlers.notifier.frames import Frame, Hint, Text, op
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
        self._pending: dict[str, asyncio.Task[None]] = {}
        self._allowance = float(BURST)
        self._counted = time.monotonic()
        self._answered = asyncio.Event()
        self.outbox = Outbox(
            realtime.settings.queue_limit,
            send=self._send,
            direct=self._write,
            overflow=self.overflow,
        )

    def deliver(self, frame: Frame) -> None:
        self.outbox.offer(frame.text)

    def hint(self, hint: Hint) -> None:
        self.outbox.spare(hint.text)

    def lost(self, subscriptions: list[Subscription]) -> None:
        for each in subscriptions:
            cursor = self.hub.cursor(each.shard)
            self.outbox.offer(op("reset", channel=each.channel, cursor=cursor))

    def dropped(self, channel: str, error: DomainError) -> None:
        self._forget(channel)
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
        channel: str | None = None
        try:
            if message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                frame = parse(message.data)
                channel = frame.get("channel") if isinstance(frame.get("channel"), str) else None
                self._act(frame)
            elif message.type is WSMsgType.BINARY:
                raise FrameInvalid()
        except DomainError as error:
            self._complain(error, channel)

    def _act(self, frame: dict[str, Any]) -> None:
        match frame.get("op"):
            case "ping":
                self.outbox.offer(op("pong"))
            case "subscribe":
                self._subscribe(channel_of(frame), since_of(frame))
            case "unsubscribe":
                self._unsubscribe(channel_of(frame))
            case _:
                raise OpUnknown()

    def _subscribe(self, channel: str, since: str | None) -> None:
        if channel in self.subscriptions or channel in self._pending:
            raise AlreadySubscribed()
        if (
            len(self.subscriptions.keys() | self._pending.keys())
            >= self._realtime.settings.subscriptions
        ):
            raise TooManySubscriptions()
        positions = decode(since, self.hub.shards) if since is not None else None
        subscription = self.hub.subscription(self, channel)

        async def subscribe() -> None:
            try:
                await self._serve(subscription, positions)
            except DomainError as error:
                self._refuse(channel, error)
            except Exception as error:
                log.warning("subscribe_failed", channel=channel, reason=str(error)[:200])
                self._refuse(channel, RealtimeUnavailable())
            finally:
                if self._pending.get(channel) is asyncio.current_task():
                    del self._pending[channel]

        self._pending[channel] = self.start(subscribe())

    async def _serve(
        self, subscription: Subscription, positions: dict[int, tuple[int, int]] | None
    ) -> None:
        channel, shard = subscription.channel, subscription.shard
        await self.authorise(self._realtime.authorise, channel)
        self.subscriptions[channel] = subscription
        since = positions.get(shard) if positions is not None else None

        def announce(recovered: bool) -> None:
            cursor = self.hub.cursor(shard, since if recovered else None)
            self.outbox.offer(op("subscribed", channel=channel, cursor=cursor, recovered=recovered))

        if positions is None:
            announce(False)
            self.hub.add(subscription)
        else:
            await self._realtime.history.resume(self, [subscription], since, announce)

    def _unsubscribe(self, channel: str) -> None:
        self._forget(channel)
        subscription = self.subscriptions.pop(channel, None)
        if subscription is not None:
            self.hub.remove(subscription)
        self.outbox.offer(op("unsubscribed", channel=channel))

    def _forget(self, channel: str) -> None:
        pending = self._pending.pop(channel, None)
        if pending is not None:
            pending.cancel()

    def _refuse(self, channel: str, error: DomainError) -> None:
        subscription = self.subscriptions.pop(channel, None)
        if subscription is not None:
            self.hub.remove(subscription)
        self._complain(error, channel)

    def _complain(self, error: DomainError, channel: str | None) -> None:
        self.outbox.offer(op("error", code=error.code, detail=error.detail, channel=channel))

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
