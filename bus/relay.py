"""Publishes what a crash between commit and publication left behind.

Every transaction leaves an outbox document until its messages are on their streams. One
that is older than the grace belongs to a process that died or lost Redis; what it names
is published again, and consumers skip what they have seen.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from prometheus_client import Counter

from bus.committer import logged_event
from bus.documents import EVENTS, OUTBOX, Database
from bus.publisher import Publisher
from contracts.envelope import Envelope
from contracts.types import now

log = structlog.get_logger(__name__)

RELAYED = Counter("grid8_relayed_total", "Messages published by the relay")


class Relay:
    """Looks for overdue outbox documents. Several may run; they only repeat each other."""

    def __init__(self, database: Database, publisher: Publisher, *, grace: float) -> None:
        self._database = database
        self._publisher = publisher
        self._grace = grace

    async def sweep(self, limit: int = 100) -> int:
        """Publish up to ``limit`` overdue outbox documents; how many there were.

        Raises redis.RedisError or PyMongoError; what was not published stays.
        """
        overdue = now() - timedelta(seconds=self._grace)
        documents = await (
            self._database[OUTBOX].find({"at": {"$lt": overdue}}).sort("at", 1).to_list(limit)
        )
        for document in documents:
            events = (
                await self._database[EVENTS]
                .find({"_id": {"$in": document["events"]}})
                .to_list(None)
            )
            by_id = {event["_id"]: logged_event(event) for event in events}
            messages = [by_id[id] for id in document["events"] if id in by_id]
            messages += [Envelope.model_validate(command) for command in document["commands"]]
            await self._publisher.publish(messages)
            await self._database[OUTBOX].delete_one({"_id": document["_id"]})
            RELAYED.inc(len(messages))
            log.warning("relayed", outbox=document["_id"], messages=len(messages))
        return len(documents)
