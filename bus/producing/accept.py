"""Events of internal producers: from CloudEvents 1.0 into the event log and onto the streams.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md. In the log an event has an
id of ours, because a producer's is unique only beside its source; the producer's id becomes
the ``causationid``.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pymongo.errors import ConnectionFailure, PyMongoError
from redis.exceptions import RedisError

from bus.committer import Committer, Publication
from bus.documents import INBOX, Database
from bus.publisher import Publisher
from bus.replies import Outcome
from bus.unit_of_work import AlreadyHandled, UnitOfWork, inbox_key
from contracts.envelope import Envelope
from contracts.types import derived_id, new_id

log = structlog.get_logger(__name__)

GROUP = "producers"
"""Under which the inbox remembers what producers have sent (for INBOX_DAYS)."""

CONTENDED_FOR = 4.5
"""Seconds a write that meets others is tried again: a killed process holds what it was writing
for as long as MongoDB lets a transaction live."""
_TRIES = 5
PUBLISH_LIMIT = 2.0
"""Seconds a producer waits for Redis; its events are durable already."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One CloudEvent that is in the event log."""

    id: str
    """As its producer named it."""
    event: str
    """As the event log names it."""
    repeated: bool
    """Whether it was accepted before."""


async def produce(
    committer: Committer,
    publisher: Publisher,
    database: Database,
    envelopes: Sequence[Envelope],
) -> list[Accepted]:
    """Write events to the log and publish them; one answer for each, in their order.

    ``envelopes`` are what ``bus.producing.cloudevents.read_events`` returns. On return all are durable,
    and published now, or soon by the relay when Redis is away. An event with the organization,
    source and id of one before is accepted once. Raises PyMongoError when MongoDB is away:
    some may be in the log then, and sending all again is safe.
    """
    first: dict[str, Envelope] = {}
    for envelope in envelopes:
        first.setdefault(_key(envelope), envelope)
    known = await _known(database, list(first))
    results = await asyncio.gather(
        *(
            _log(committer, database, key, envelope, known.get(key))
            for key, envelope in first.items()
        ),
        return_exceptions=True,
    )
    written = [each for each in results if not isinstance(each, BaseException)]
    await _publish(committer, publisher, [each for each in written if each.publication])
    for each in results:
        if isinstance(each, BaseException):
            raise each
    by_key = dict(zip(first, written, strict=True))
    answers = []
    for envelope in envelopes:
        found = by_key[_key(envelope)]
        repeated = found.publication is None or first[_key(envelope)] is not envelope
        answers.append(Accepted(envelope.id, found.event.id, repeated))
    return answers


@dataclass(slots=True)
class _Logged:
    event: Envelope
    publication: Publication | None


def _key(envelope: Envelope) -> str:
    """What tells one CloudEvent from another; tenants cannot get in each other's way."""
    return derived_id("ce", "\n".join((envelope.org or "", envelope.source, envelope.id)))


async def _known(database: Database, keys: Sequence[str]) -> dict[str, str]:
    """The ids in the log of what was accepted before: a batch sent again costs one query."""
    by_inbox_key = {inbox_key(GROUP, key): key for key in keys}
    found = database[INBOX].find({"_id": {"$in": list(by_inbox_key)}}, {"outcome.result.event": 1})
    return {by_inbox_key[each["_id"]]: _event_of(each) async for each in found}


def _event_of(entry: dict[str, Any]) -> str:
    id: str = entry["outcome"]["result"]["event"]
    return id


async def _log(
    committer: Committer, database: Database, key: str, envelope: Envelope, known: str | None
) -> _Logged:
    if known is not None:
        return _Logged(envelope.model_copy(update={"id": known}), None)
    tries, deadline = 0, time.monotonic() + CONTENDED_FOR
    while tries < _TRIES:
        event = envelope.model_copy(update={"id": new_id("evt"), "causationid": envelope.id})
        unit = UnitOfWork(envelope.model_copy(update={"id": key}), GROUP)
        unit.events.append(event)
        unit.outcome = Outcome(command_id=key, status="succeeded", result={"event": event.id})
        try:
            return _Logged(event, await committer.commit(unit))
        except PyMongoError as error:
            # Somebody else is writing the same, or died while doing so.
            contended = error.has_error_label("TransientTransactionError")
            away = isinstance(error, ConnectionFailure)
            if away or not contended or time.monotonic() > deadline:
                raise
            await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311 - jitter, not a secret
        except AlreadyHandled:
            tries += 1
            found = await database[INBOX].find_one({"_id": unit.inbox_key})
            if found is not None:
                return _Logged(event.model_copy(update={"id": _event_of(found)}), None)
    raise TimeoutError(f"the event {envelope.id} is being accepted by somebody else")


async def _publish(committer: Committer, publisher: Publisher, written: Sequence[_Logged]) -> None:
    if not written:
        return
    try:
        async with asyncio.timeout(PUBLISH_LIMIT):
            await publisher.publish([each.event for each in written])
    except (RedisError, OSError) as error:
        # They are in the outbox, from which the relay publishes them.
        log.warning(
            "published_later", events=len(written), reason=str(error)[:300] or type(error).__name__
        )
        return
    for each in written:
        if each.publication is not None:
            committer.published(each.publication)
