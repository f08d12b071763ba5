"""A worker of the probe domain whose handlers do as the name of the thing says.

``killer`` takes the process down, ``raiser`` always raises, and ``long …`` takes ``LONG``
seconds and notes in Redis when it begins and ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from beanie import init_beanie
from redis.asyncio import Redis

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

LONG = 10.0
DELIVERIES = 5
RUNS = "probe:runs:"
"""What is before the name of a long thing: a list of who began and who ended it."""


class Fragile:
    """The handler, and where it takes notes."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def make(self, command: MakeThing, uow: UnitOfWork) -> ThingView:
        if command.name == "killer":
            await asyncio.sleep(0.02)
            os._exit(9)
        if command.name == "raiser":
            raise RuntimeError("it always does")
        if command.name.startswith("long"):
            await self._note(command.name, "begins")
            await asyncio.sleep(LONG)
            await self._note(command.name, "ends")
        else:
            await asyncio.sleep(0.2)
        return await make_thing(command, uow)

    async def _note(self, name: str, what: str) -> None:
        await self._redis.rpush(RUNS + name, f"{os.getpid()} {what}")


async def main(
    mongo_url: str, database_name: str, redis_url: str, claim_after: str = "0.6"
) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    Message._known.update(CONTRACTS)
    sealed.use_keys([b"k" * 32])
    client, database = mongo.connect(MongoSettings(url=mongo_url, database=database_name))
    await init_beanie(database=database, document_models=[Thing])
    redis = connect(redis_url)
    policy = Policy(
        max_deliveries=DELIVERIES, backoff_base=0.05, claim_after=float(claim_after), timeout=60.0
    )
    publisher = Publisher(redis, durable="always")
    committer = Committer(client, database)
    handling = Handling(
        DOMAIN,
        {MakeThing: Fragile(redis).make},
        committer=committer,
        publisher=publisher,
        database=database,
    )
    worker = Worker(
        make_broker(redis_url),
        redis,
        publisher.pipeline,
        [Lane(COMMANDS, handling, policy, 64)],
        heartbeat=policy.claim_after / 4,
        drain_grace=5.0,
    )
    await worker.start()
    print("started", flush=True)
    await stop.wait()
    await worker.stop()
    await committer.close()
    await publisher.pipeline.close()
    await redis.aclose()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
