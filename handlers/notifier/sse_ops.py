"""The event stream in the WebSocket's words: ``frames=ops``.

Every message is unnamed, and its data is the JSON object that a WebSocket would be sent. So an
EventSource, which is told only of names it knows beforehand, is told of everything, and of the
channel that it is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from aiohttp import web

from bus.feed.push_cursor import Position
from contracts.errors import DomainError
from contracts.realtime.errors import FramesUnknown
from handlers.notifier.frames import Entry, Frame, Hint, Told, message, snapshot
from handlers.notifier.peer import Close, Subscription
from handlers.notifier.sse_peer import NOTHING_LEFT, SsePeer


def wants_ops(request: web.Request) -> bool:
    """Whether the request asks for this. Raises FramesUnknown for any other wish."""
    wishes = request.query.getall("frames", [])
    if wishes not in ([], ["ops"]):
        raise FramesUnknown()
    return bool(wishes)


class OpsPeer(SsePeer):
    """One event stream. Each event comes once on each of its channels, as over a WebSocket."""

    heartbeat: ClassVar[bytes] = message("heartbeat")
    tells_refusals: ClassVar[bool] = True

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._entries: dict[int, Entry] = {}
        """The last of each push stream, of which all copies were written."""

    def deliver(self, frame: Frame) -> None:
        entry = frame.entry
        if self._entries.get(entry.shard) is entry:
            return
        self._entries[entry.shard] = entry
        self.positions[entry.shard] = entry.position
        # All of its copies at once: after a break between them the id would be of neither.
        copies = [entry.message(channel, self.hub.shards) for channel in self._channels(entry)]
        self._offer(copies)

    def hint(self, hint: Hint) -> None:
        self.outbox.spare(hint.message)

    def tell(self, told: Told) -> None:
        self.outbox.offer(told.message)

    def lost(self, subscriptions: list[Subscription]) -> None:
        for each in subscriptions:
            self.positions[each.shard] = self.hub.position(each.shard)
        self._offer(
            [
                self.say(
                    "reset",
                    channel=each.channel,
                    cursor=self.hub.cursor(each.shard),
                    snapshot=snapshot(self.ticket.org, each.channel),
                )
                for each in subscriptions
            ]
        )

    def refused(self, channel: str, error: DomainError) -> None:
        self.outbox.offer(self.say("error", code=error.code, detail=error.detail, channel=channel))
        self.end_if_empty()

    def begins(self, since: Mapping[int, Position]) -> bool:
        # A client may have had one channel, and now wants another as well.
        return bool(since)

    def served(
        self, group: Sequence[Subscription], since: Position | None, recovered: bool
    ) -> None:
        for each in group:
            cursor = self.hub.cursor(each.shard, since if recovered else None)
            self.outbox.offer(
                self.say("subscribed", channel=each.channel, cursor=cursor, recovered=recovered)
            )

    def end_if_empty(self) -> None:
        if not self.subscriptions:
            self.close(Close.NOTHING_LEFT, NOTHING_LEFT)

    def say(self, name: str, **members: Any) -> bytes:
        return message(name, **members)

    def _channels(self, entry: Entry) -> list[str]:
        """Those of ours that the entry is on, in the order of a WebSocket."""
        found = []
        for address in entry.to:
            subscription = self.subscriptions.get(address.partition("/")[2])
            if subscription is not None and subscription.address == address:
                found.append(subscription.channel)
        return found

    def _offer(self, messages: list[bytes]) -> None:
        """Write in one piece; the id goes with the last, so that it holds when all are there."""
        if messages:
            messages[-1] = f"id: {self.cursor}\n".encode() + messages[-1]
            self.outbox.offer(b"".join(messages))
