"""Runs domains in a process: connects, wires, reads, drains."""

from __future__ import annotations

import asyncio
import importlib
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import structlog
from beanie import init_beanie

from bus import streams
from bus.broker import connect as connect_redis
from bus.broker import ensure_groups, make_broker
from bus.committer import Committer
from bus.documents import Aggregate, ensure_bus_indexes
from bus.handling import Handling, Policy
from bus.inspection import watch
from bus.middleware import add_message, use_tracing
from bus.publisher import Publisher
from bus.recovery.epoch import Recovery
from bus.relay import Relay
from bus.replay.lane import ReplayHandling
from bus.tasks import end
from bus.worker import Lane, Worker
from handlers.clocks import Clock, run_clock
from handlers.domain import Context, Domain, Wire
from handlers.routing import pushes_of
from handlers.topology import DOMAINS as DOMAINS
from handlers.topology import INSPECTED as INSPECTED
from handlers.topology import PUBLISHED as PUBLISHED
from handlers.topology import command_groups, event_groups, readers
from infra import logs, mongo, tracing
from infra.breaker import Breakers
from infra.memory import settle
from infra.ops import Check, serve_ops
from infra.secrets import use_secrets
from infra.settings import Settings

log = structlog.get_logger(__name__)

ROLES = (*DOMAINS, "notifier", "relay")

INSPECT_EVERY = 5.0
OBSERVED_CLAIM = 4.0
"""Seconds without a sign of life after which others observe what a consumer had in hand. Signs
come every ``GRID8_WORKER__HEARTBEAT`` seconds; observing twice does no harm."""


def documents_of(domain: str) -> list[type[Aggregate]]:
    """The documents of a domain; the notifier has none."""
    if domain not in DOMAINS:
        return []
    found: list[type[Aggregate]] = importlib.import_module(f"handlers.{domain}.documents").DOCUMENTS
    return found


async def init_documents(database: Any, domains: Sequence[str], *, indexes: bool = False) -> None:
    """Make the documents of these domains usable in this process."""
    models = [document for domain in domains for document in documents_of(domain)]
    if models:
        await init_beanie(database=database, document_models=models, skip_indexes=not indexes)


def lanes_of(domain: Domain, context: Context, committer: Committer) -> list[Lane]:
    """What a domain reads: its commands in two lanes, and the events it reacts to."""
    settings = context.settings.worker
    policy = Policy(
        max_deliveries=settings.max_deliveries,
        backoff_base=settings.backoff_base,
        claim_after=settings.claim_after,
        timeout=settings.command_timeout,
    )
    # What is observed waits for what somebody dead has in hand, to stay in order.
    observed = replace(policy, claim_after=min(policy.claim_after, OBSERVED_CLAIM))
    unhurried = Policy(policy.max_deliveries, policy.backoff_base, policy.claim_after, None)

    observers = {
        Handling: domain.observer,
        ReplayHandling: domain.observer_again or domain.observer,
    }

    def handling(observed: bool = False, kind: type[Handling] = Handling) -> Handling:
        return kind(
            domain.name,
            domain.replayed() if kind is ReplayHandling else domain.table(),
            committer=committer,
            publisher=context.publisher,
            database=context.database,
            observer=observers[kind] if observed else None,
        )

    lanes = []
    if domain.commands:
        lanes = [
            Lane(streams.commands(domain.name), handling(), policy, settings.slots),
            Lane(
                streams.commands(domain.name, "slow"),
                handling(),
                unhurried,
                domain.slow_slots or settings.slow_slots,
            ),
        ]
    sources = sorted({event.domain() for event in domain.reactions} | set(domain.observes))
    lanes += [
        Lane(
            streams.events(source),
            handling(source in domain.observes),
            observed if source in domain.observes else policy,
            settings.slots,
            linger=domain.linger,
        )
        for source in sources
    ]
    if sources or domain.rebuilds:
        replayed = handling(bool(domain.observes), ReplayHandling)
        # What rebuilds may take its time, and what it waits for its turn counts too.
        patience = unhurried if domain.rebuilds else policy
        lanes.append(Lane(streams.replay(domain.name), replayed, patience, settings.slots))
    return lanes


@asynccontextmanager
async def connected(settings: Settings, process: str) -> AsyncIterator[Context]:
    """The connections every process of ours has, closed at the end."""
    logs.configure(settings.logs, process=process, context=[add_message])
    tracing.configure(settings.tracing, process=process)
    use_tracing(settings.tracing.endpoint is not None)
    use_secrets(settings)
    redis = connect_redis(
        settings.redis.url,
        max_connections=settings.redis.max_connections,
        socket_timeout=settings.redis.socket_timeout,
    )
    client, database = mongo.connect(settings.mongo)
    publisher = Publisher(redis, durable=settings.redis.durable, pushes=pushes_of(settings))
    breakers = Breakers(redis, settings.breaker)
    try:
        await publisher.start()
        await breakers.start()
        yield Context(settings, redis, database, publisher, breakers)
    finally:
        await publisher.pipeline.close()
        await redis.aclose()
        await client.close()
        tracing.shutdown()


def checks_of(context: Context) -> dict[str, Check]:
    """The dependencies every process has."""

    async def redis() -> None:
        await context.redis.ping()

    async def mongodb() -> None:
        await context.database.command("ping")

    return {"redis": redis, "mongodb": mongodb}


async def prepare(settings: Settings) -> None:
    """Create every index, stream and group; what is there already stays."""
    async with connected(settings, "prepare") as context:
        await ensure_bus_indexes(context.database)
        await init_documents(context.database, DOMAINS, indexes=True)
        made = await ensure_groups(context.redis, [*command_groups(), *event_groups()])
        log.info("prepared", groups_made=made)


async def run(settings: Settings, roles: Sequence[str]) -> None:
    """Run these roles until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    process = "+".join(roles)
    async with connected(settings, process) as context, AsyncExitStack() as stack:
        committer = Committer(
            context.database.client, context.database, limit=settings.worker.flush_limit
        )
        checks = checks_of(context)
        await init_documents(
            context.database, DOMAINS if {"notifier", "inbox"} & set(roles) else list(roles)
        )
        lanes: list[Lane] = []
        clocks: list[Clock] = []
        for role in roles:
            if role == "relay":
                stack.push_async_callback(end, asyncio.create_task(_relay(context), name="relay"))
                inspecting = watch(
                    context.redis, INSPECTED, INSPECT_EVERY, shards=settings.notifier.push_shards
                )
                stack.push_async_callback(end, asyncio.create_task(inspecting, name="inspection"))
                continue
            wire: Wire = importlib.import_module(f"handlers.{role}.worker").wire
            given = context
            if role == "notifier":
                channels = importlib.import_module("handlers.channels")
                given = replace(context, authorise=channels.authorise, rights=channels.find_rights)
            if role == "inbox":
                people = importlib.import_module("handlers.directory").People
                given = replace(context, directory=people())
            domain = await stack.enter_async_context(wire(given))
            checks.update(domain.checks)
            lanes += lanes_of(domain, context, committer)
            clocks += domain.clocks
        worker = Worker(
            make_broker(
                settings.redis.url,
                max_connections=settings.redis.max_connections,
                socket_timeout=settings.redis.socket_timeout,
            ),
            context.redis,
            context.publisher.pipeline,
            lanes,
            heartbeat=settings.worker.heartbeat,
            drain_grace=settings.worker.drain_grace,
        )

        async def reading() -> None:
            if not worker.ready:
                raise RuntimeError("a stream is not being read")

        if lanes:
            await worker.start()
            checks["streams"] = reading
        ringing = [
            asyncio.create_task(run_clock(clock, context.redis, context.publisher), name=clock.name)
            for clock in clocks
        ]
        ops = await serve_ops(process, checks, host=settings.ops.host, port=settings.ops.port)
        log.info("started", roles=list(roles), lanes=len(lanes))
        settle()
        await stop.wait()
        log.info("draining")
        await end(*ringing)
        await worker.stop()
        await committer.close()
        if ops is not None:
            await ops.cleanup()
    log.info("stopped")


async def _relay(context: Context) -> None:
    settings = context.settings.relay
    relay = Relay(context.database, context.publisher, grace=settings.grace)
    recovery = Recovery(context.database, context.publisher, readers(), margin=settings.margin)
    while True:
        try:
            await recovery.tick()
            while await relay.sweep():
                pass
            await relay.settle()
        except Exception as error:
            log.warning("relay_interrupted", reason=str(error)[:300])
        await asyncio.sleep(settings.interval)
