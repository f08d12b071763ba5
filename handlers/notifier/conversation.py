"""What a WebSocket and its client say to one another: the ops, whatever carries them."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from bus.feed.push_cursor import Position, decode
from contracts.errors import DomainError
from contracts.realtime.errors import (
    AlreadySubscribed,
    NotSubscribed,
    OpUnknown,
    RealtimeUnavailable,
    TooManySubscriptions,
)
from handlers.notifier.client_frames import channel_of, named, parse, since_of
from handlers.notifier.frames import op
from handlers.notifier.peer import Peer, Subscription
from handlers.notifier.presence.asking import check_presence, wants_watch
from handlers.notifier.state import Realtime

log = structlog.get_logger(__name__)


class Conversation:
    """Acts on the messages of one client, and answers through the outbox of its connection."""

    def __init__(self, realtime: Realtime, peer: Peer) -> None:
        self._realtime = realtime
        self._peer = peer
        self._pending: dict[str, asyncio.Task[None]] = {}
        """Channels that are being authorised or resumed."""

    def hear(self, text: str) -> None:
        """Act on a text message. Never waits; what cannot be done is answered as an error."""
        channel: str | None = None
        try:
            frame = parse(text)
            channel = named(frame)
            self._act(frame)
        except DomainError as error:
            self.complain(error, channel)

    def complain(self, error: DomainError, channel: str | None = None) -> None:
        """Tell the client what was wrong."""
        self._say("error", code=error.code, detail=error.detail, channel=channel)

    def forget(self, channel: str) -> None:
        """Begin no more to serve a channel."""
        pending = self._pending.pop(channel, None)
        if pending is not None:
            pending.cancel()

    def _say(self, name: str, **members: Any) -> None:
        self._peer.outbox.offer(op(name, **members))

    def _act(self, frame: dict[str, Any]) -> None:
        match frame.get("op"):
            case "ping":
                self._say("pong")
            case "subscribe":
                self._subscribe(channel_of(frame), since_of(frame))
            case "unsubscribe":
                self._unsubscribe(channel_of(frame))
            case "presence":
                self._presence(channel_of(frame), wants_watch(frame))
            case _:
                raise OpUnknown()

    def _subscribe(self, channel: str, since: str | None) -> None:
        held = self._peer.subscriptions.keys() | self._pending.keys()
        if channel in held:
            raise AlreadySubscribed()
        if len(held) >= self._realtime.settings.subscriptions:
            raise TooManySubscriptions()
        positions = decode(since, self._peer.hub.shards) if since is not None else None
        subscription = self._peer.hub.subscription(self._peer, channel)

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

        self._pending[channel] = self._peer.start(subscribe())

    async def _serve(
        self, subscription: Subscription, positions: dict[int, Position] | None
    ) -> None:
        peer, hub = self._peer, self._peer.hub
        channel, shard = subscription.channel, subscription.shard
        await peer.authorise(self._realtime.authorise, channel)
        peer.subscriptions[channel] = subscription
        since = positions.get(shard) if positions is not None else None

        def announce(recovered: bool) -> None:
            cursor = hub.cursor(shard, since if recovered else None)
            self._say("subscribed", channel=channel, cursor=cursor, recovered=recovered)

        if positions is None:
            announce(False)
            hub.add(subscription)
        else:
            await self._realtime.history.resume(peer, [subscription], since, announce)

    def _presence(self, channel: str, watch: bool) -> None:
        check_presence(channel)
        pending = self._pending.get(channel)
        if pending is not None:
            # Asked together with the subscription; refused, it is refused for itself.
            pending.add_done_callback(lambda task: self._watch(channel, watch, refuse=False))
        else:
            self._watch(channel, watch)

    def _watch(self, channel: str, watch: bool, *, refuse: bool = True) -> None:
        watches = self._realtime.presence.watches
        subscription = self._peer.subscriptions.get(channel)
        if subscription is None:
            if refuse:
                raise NotSubscribed()
        elif watch:
            watches.watch(subscription)
        else:
            watches.unwatch(subscription)
            self._say("presence", channel=channel, watch=False)

    def _unsubscribe(self, channel: str) -> None:
        self.forget(channel)
        self._remove(channel)
        self._say("unsubscribed", channel=channel)

    def _refuse(self, channel: str, error: DomainError) -> None:
        self._remove(channel)
        self.complain(error, channel)

    def _remove(self, channel: str) -> None:
        subscription = self._peer.subscriptions.pop(channel, None)
        if subscription is not None:
            self._peer.hub.remove(subscription)
