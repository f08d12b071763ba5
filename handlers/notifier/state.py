"""What the routes of the notifier share."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from contracts.realtime.errors import RealtimeUnavailable
from handlers.notifier.door import Door
from handlers.notifier.hub import Hub
from handlers.notifier.keeper import Keeper
from handlers.notifier.peer import Authorise, Close
from handlers.notifier.presence import Presence
from handlers.notifier.resume import History
from handlers.notifier.wire.pulse import Pulse
from infra.settings import NotifierSettings


@dataclass(slots=True)
class Realtime:
    """Built once by worker.py."""

    settings: NotifierSettings
    hub: Hub
    history: History
    door: Door
    authorise: Authorise
    keeper: Keeper
    presence: Presence
    stopping: bool = False
    pulse: Pulse = field(init=False)

    def __post_init__(self) -> None:
        self.pulse = Pulse(self.settings.heartbeat)

    def check_open(self) -> None:
        """Raise RealtimeUnavailable once we are going down."""
        if self.stopping:
            raise RealtimeUnavailable(retry_after=2)

    async def drain(self) -> None:
        """End every connection, saying why; returns when all have ended."""
        self.stopping = True
        peers = self.hub.everyone()
        for peer in peers:
            peer.close(Close.GOING_AWAY, "the notifier is stopping")
        for peer in peers:
            if peer.ending is not None:
                await peer.ending


REALTIME: web.AppKey[Realtime] = web.AppKey("realtime", Realtime)
