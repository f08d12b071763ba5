"""The notifier's table of contents: it handles no commands, and observes every event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from bus.broker import connect
from bus.feed.archive import PushArchive
from bus.feed.push_log import PushLog
from bus.feed.pushed import Audience, Route
from bus.feed.pushing import Pusher
from bus.handling import Handler
from bus.tasks import end
from contracts.base import Event
from contracts.envelope import Envelope
from handlers.domain import Context, Domain
from handlers.notifier.app import make_app, serving
from handlers.notifier.archive import Archivist
from handlers.notifier.door import Door, allowed_origins
from handlers.notifier.hub import Hub
from handlers.notifier.idle import Idle
from handlers.notifier.keeper import Keeper
from handlers.notifier.places import Places
from handlers.notifier.presence import Presence, living
from handlers.notifier.progress import hear
from handlers.notifier.resume import History
from handlers.notifier.revocation import Guard
from handlers.notifier.state import Realtime
from handlers.routing import pushes_of, route
from infra.event_streams import EventStreams
from infra.secrets import open_sessions
from infra.tickets import TicketStore

log = structlog.get_logger(__name__)

OBSERVES = ("auth", "corp", "asset", "mail", "inbox", "custom")
"""``custom``: what internal producers publish."""

REACTIONS: dict[type[Event], Handler] = {}

DRAIN_GRACE = 5.0
LINGER = 0.1
"""What is seen has almost always been pushed by who published it: there is no hurry to look."""


def _audiences(shards: int) -> Route:
    def audiences(envelope: Envelope) -> list[Audience]:
        return [(each.shard, each.addresses) for each in route(envelope, shards)]

    return audiences


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Serves sockets while it is open, and pushes to them what it observes.

    Raises LookupError without ``context.authorise`` and ``context.rights``, and OSError if the
    port is taken.
    """
    if context.authorise is None or context.rights is None:
        raise LookupError("the notifier needs context.authorise and context.rights")
    settings = context.settings
    limits = settings.notifier
    sessions = open_sessions(context.redis, settings)
    async with AsyncExitStack() as stack:
        reader = connect(
            settings.redis.url, max_connections=4, socket_timeout=settings.redis.socket_timeout
        )
        stack.push_async_callback(reader.aclose)
        hub = Hub(reader, shards=limits.push_shards)
        push_log: PushLog | None = None
        archivist: Archivist | None = None
        if limits.archive_days:
            kept = {"shards": limits.push_shards, "days": limits.archive_days}
            push_log = PushLog(
                context.database, context.redis, route=_audiences(limits.push_shards), **kept
            )
            archivist = Archivist(
                PushArchive(context.database, context.redis, **kept),
                context.redis,
                shards=limits.push_shards,
                every=limits.archive_every,
            )
        event_streams = EventStreams(context.redis, limits.reconnect)
        keeper = Keeper(event_streams, hub, every=min(limits.heartbeat, limits.reconnect / 3))
        execute = context.publisher.pipeline.execute_all
        life = await stack.enter_async_context(living(execute, limits))
        presence = Presence(execute, life, hub, limits)
        places = Places(execute, life, limits)
        guard = Guard(
            hub,
            context.authorise,
            rights=context.rights,
            owners=sessions.owners,
            expel=presence.members.expel,
        )
        realtime = Realtime(
            settings=limits,
            hub=hub,
            history=History(context.redis, hub, push_log),
            door=Door(
                TicketStore(context.redis, limits.ticket_ttl),
                event_streams,
                sessions.owner,
                allowed_origins(settings),
                places,
            ),
            authorise=context.authorise,
            keeper=keeper,
            presence=presence,
        )

        async def reading() -> None:
            if not hub.reader.ready:
                raise RuntimeError("the push streams are not being read")

        async def redis() -> None:
            await context.redis.ping()

        app = make_app(
            realtime,
            {"redis": redis, "push_streams": reading},
            metrics=settings.gateway.metrics_public,
            hsts=settings.environment == "production",
        )
        stack.push_async_callback(hub.reader.stop)
        await hub.reader.start()
        stack.push_async_callback(end, asyncio.create_task(hear(reader, hub), name="progress"))
        await stack.enter_async_context(presence.running(reader))
        await stack.enter_async_context(places.running())
        idle = asyncio.create_task(Idle(hub, limits.idle).run(), name="idle")
        stack.push_async_callback(end, idle)
        stack.push_async_callback(guard.stop)
        guard.start()
        stack.push_async_callback(keeper.stop)
        keeper.start()
        if archivist is not None:
            stack.push_async_callback(archivist.stop)
            archivist.start()
        port = await stack.enter_async_context(
            serving(app, host=limits.host, port=limits.port, grace=DRAIN_GRACE)
        )
        log.info("notifier_listening", host=limits.host, port=port)
        pusher = Pusher(context.publisher.pipeline, pushes_of(settings))
        yield Domain(
            name="notifier",
            observes=OBSERVES,
            observer=pusher.push,
            observer_again=pusher.push_again,
            checks={"push_streams": reading},
            linger=LINGER,
        )
