"""What every domain gives to the process that runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from redis.asyncio import Redis

from bus.documents import Database
from bus.handling import Handler, Observer
from bus.publisher import Publisher
from contracts.actor import Actor
from contracts.base import Command, Event, Message
from handlers.clocks import Clock
from handlers.people import Directory
from infra.breaker import Breakers
from infra.ops import Check
from infra.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """What a process has when it wires a domain."""

    settings: Settings
    redis: Redis
    database: Database
    publisher: Publisher
    breakers: Breakers
    authorise: Callable[[Actor, str], Awaitable[None]] | None = None
    """Whether an actor may listen to a channel (handlers/channels.py); only the notifier's."""
    directory: Directory | None = None
    """Who people are (handlers/directory.py); only the inbox's."""
    rights: Callable[[Actor], Awaitable[Hashable]] | None = None
    """What an actor may see at all, comparable, and None for nobody; only the notifier's."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain's table of contents."""

    name: str
    commands: Mapping[type[Command], Handler] = field(default_factory=dict)
    reactions: Mapping[type[Event], Handler] = field(default_factory=dict)
    rebuilds: Mapping[type[Event], Handler] = field(default_factory=dict)
    """What it does with events, its own too, only when a replay feeds them to it."""
    observes: tuple[str, ...] = ()
    """Domains all of whose events go to ``observer``."""
    observer: Observer | None = None
    observer_again: Observer | None = None
    """Sees what a replay or a recovery feeds it, where that is not ``observer``."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    """Dependencies of its own, for /ready."""
    slow_slots: int | None = None
    """Messages it handles at once in its slow lane, where that is not a matter of settings."""

    linger: float = 0.0
    """Seconds its reactions leave events to gather after each read: their cost is per read."""
    clocks: tuple[Clock, ...] = ()
    """What it does because time has passed."""

    def table(self) -> dict[type[Message], Handler]:
        """Message → handler, commands and reactions together."""
        table: dict[type[Message], Handler] = dict(self.commands.items())
        table.update(self.reactions.items())
        return table

    def replayed(self) -> dict[type[Message], Handler]:
        """Message → handler, in the lane of replays."""
        table = self.table()
        table.update(self.rebuilds.items())
        return table


Wire = Callable[[Context], AbstractAsyncContextManager[Domain]]
"""A domain's worker.py: builds what its handlers need and takes it down again."""
