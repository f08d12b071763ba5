"""The heartbeats of all WebSockets, by one timer."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

SEATS = 16
"""Parts of a heartbeat: each beats its share of the sockets, so that not all are at once."""


class Beating(Protocol):
    """What has a heartbeat."""

    def beat(self) -> None:
        """Another heartbeat is over. Never waits."""


class Pulse:
    """Calls ``beat`` on each member once per ``heartbeat`` seconds. Idle without members."""

    def __init__(self, heartbeat: float) -> None:
        self._step = heartbeat / SEATS
        self._seats: tuple[set[Beating], ...] = tuple(set() for _ in range(SEATS))
        self._turn = 0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, member: Beating) -> set[Beating]:
        """Beat it from now on, first after a whole heartbeat, until discarded from the set."""
        seat = self._seats[self._turn]
        seat.add(member)
        if self._timer is None:
            self._wind()
        return seat

    def _wind(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._step, self._tick)

    def _tick(self) -> None:
        self._turn = (self._turn + 1) % SEATS
        for member in tuple(self._seats[self._turn]):
            try:
                member.beat()
            except Exception:
                log.exception("heartbeat_failed")
        self._timer = None
        if any(self._seats):
            self._wind()
