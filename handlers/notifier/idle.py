"""Closes sockets that are subscribed to nothing: one timer for all of them."""

from __future__ import annotations

import asyncio
import time

from handlers.notifier.hub import Hub
from handlers.notifier.peer import Close, Peer, Subscription

LOOKS = 10
"""How often it is looked in the time that a socket may be idle."""


class Idle:
    """Looks at the connections of a hub."""

    def __init__(self, hub: Hub, seconds: float) -> None:
        self._hub = hub
        self._seconds = seconds
        self._since: dict[Peer, float] = {}
        hub.on_served.append(self._served)

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._seconds / LOOKS)
            self.look(time.monotonic())

    def look(self, at: float) -> None:
        """Close who has had no channel since ``seconds`` before."""
        idle = [peer for peer in self._hub.everyone() if not peer.subscriptions]
        self._since = {peer: self._since.get(peer, at) for peer in idle}
        for peer, since in self._since.items():
            if at - since >= self._seconds:
                peer.close(Close.IDLE, "subscribed to nothing")

    def _served(self, subscription: Subscription) -> None:
        self._since.pop(subscription.peer, None)
