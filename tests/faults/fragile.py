"""A worker of the probe domain whose handler of a thing named ``killer`` takes it down."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from beanie import init_beanie

from bus.broker import connect, make_broker
from bus.committer import Committer
from bus.handling import Handling, Policy
from bus.publisher import Publisher
from bus.unit_of_work import UnitOfWork
from bus.worker import Lane, Worker
from contracts import sealed
from contracts.base import Message
from infra import mongo
from infra.settings import MongoSettings
from tests.bus.probe import COMMANDS, CONTRACTS, DOMAIN, MakeThing, Thing, ThingView, make_thing

POLICY = Policy(max_deliveries=5, backoff_base=0.05, claim_after=0.6, timeout=20.0)


async def fragile(command: MakeThing, uow: UnitOfWork) -> ThingView:
    if command.name == "killer":
        await asyncio.sleep(0.02)
        os._exit(9)
    await asyncio.sleep(0.2)
    return await make_thing(command, uow)


async def main(mongo_url: str, database_name: str, redis_url: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    Message._known.update(CONTRACTS)
    sealed.use_keys([b"k" * 32])
    client, database = mongo.connect(MongoSettings(url=mongo_url, database=database_name))
    await init_beanie(database=database, document_models=[Thing])
    redis = connect(redis_url)
    publisher = Publisher(redis, durable="always")
    committer = Committer(client, database)
    handling = Handling(
        DOMAIN,
        {MakeThing: fragile},
        committer=committer,
        publisher=publisher,
        database=database,
    )
    worker = Worker(
        make_broker(redis_url),
        redis,
        publisher.pipeline,
        [Lane(COMMANDS, handling, POLICY, 64)],
        heartbeat=0.15,
        drain_grace=5.0,
    )
    await worker.start()
    await stop.wait()
    await worker.stop()
    await committer.close()
    await publisher.pipeline.close()
    await redis.aclose()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
