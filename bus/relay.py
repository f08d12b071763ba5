"""Publishes what a crash between commit and publication left behind.

Every transaction leaves an outbox document until its messages are on their streams. One
that is older than the grace belongs to a process that died or lost Redis; what it names
is published again, and consumers skip what they have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import Counter

from bus.committer import forget_published
from bus.documents import EVENTS, INBOX, OUTBOX, Database
from bus.logged import logged_event
from bus.publisher import Publisher
from bus.unit_of_work import inbox_key
from contracts.envelope import Envelope
from contracts.types import now

log = structlog.get_logger(__name__)

SETTLE_AFTER = 5.0
"""Seconds after which it is looked whether published commands have been handled."""

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
            self._database[OUTBOX]
            .find({"sent": None, "at": {"$lt": overdue}})
            .sort("at", 1)
            .to_list(limit)
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
            await forget_published(self._database, [document["_id"]])
            RELAYED.inc(len(messages))
            log.warning("relayed", outbox=document["_id"], messages=len(messages))
        return len(documents)

    async def settle(self, limit: int = 500) -> int:
        """Forget published commands that have been handled; how many documents were looked at.

        Those looked at are looked at last the next time.
        """
        before = now() - timedelta(seconds=SETTLE_AFTER)
        documents = await (
            self._database[OUTBOX]
            .find({"sent": {"$lt": before}})
            .sort("sent", 1)
            .limit(limit)
            .to_list()
        )
        waiting = set(await unhandled(self._database, documents))
        done = [each["_id"] for each in documents if not waiting & keys_of(each)]
        await self._database[OUTBOX].delete_many({"_id": {"$in": done}})
        later = [each["_id"] for each in documents if waiting & keys_of(each)]
        await self._database[OUTBOX].update_many({"_id": {"$in": later}}, {"$set": {"sent": now()}})
        return len(documents)


def keys_of(document: dict[str, Any]) -> set[str]:
    """The keys under which the inbox will have the commands of an outbox document."""
    return {
        inbox_key(command["type"].partition(".")[0], command["id"])
        for command in document["commands"]
    }


async def unhandled(database: Database, documents: Sequence[dict[str, Any]]) -> dict[str, Envelope]:
    """The commands of outbox documents that the inbox does not have, by its key."""
    commands = {
        inbox_key(command["type"].partition(".")[0], command["id"]): command
        for document in documents
        for command in document["commands"]
    }
    found = await database[INBOX].find({"_id": {"$in": list(commands)}}, {"_id": 1}).to_list()
    for each in found:
        del commands[each["_id"]]
    return {key: Envelope.model_validate(command) for key, command in commands.items()}
