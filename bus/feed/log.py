"""The event log of one organization as a feed: oldest first, without gap or duplicate.

The order is ``logged``, a time read inside of each transaction. Transactions commit in another
order, but each within HOLD seconds of that time. So what is older is settled and shown by
position; what is younger is shown at once, and the cursor remembers what was (cursor.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from pymongo.read_concern import ReadConcern

from bus.documents import EVENTS, FEED_ORDER, Database
from bus.feed.cursor import SEEN_LIMIT, TICK, FeedCursor, Position, digest_of, tick_of
from bus.logged import logged_event
from contracts.envelope import Envelope
from contracts.visibility import is_private

HOLD = 10.0
"""Seconds from ``logged`` until a commit has been seen: the longest life of a transaction
(transactionLifetimeLimitSeconds, and half of it again until it is enforced), and what clocks
differ. The committer begins anew what it could not commit in half of it."""
PAGE_BYTES = 2 * 1024 * 1024
"""Where a page ends, however many events were asked for; it has one at least."""
SCAN = 5000
"""Events looked through by one query that filters."""
ROUNDS = 5
"""Queries for one page."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events; a change of it between pages breaks nothing."""

    type: str | None = None
    """A type, or the beginning of some: ``corp.*``."""
    subject: str | None = None
    since: datetime | None = None
    """Nothing that was logged before."""

    def query(self) -> dict[str, Any]:
        """The conditions on type and subject."""
        query: dict[str, Any] = {}
        if self.type is not None:
            prefix = self.type.removesuffix("*")
            is_prefix = prefix != self.type
            query["type"] = {"$regex": f"^{re.escape(prefix)}"} if is_prefix else self.type
        if self.subject is not None:
            query["subject"] = self.subject
        return query

    def takes(self, type: str, subject: str | None) -> bool:
        """Whether an event fits ``query``."""
        if self.subject is not None and subject != self.subject:
            return False
        if self.type is None or not self.type.endswith("*"):
            return self.type in (None, type)
        return type.startswith(self.type.removesuffix("*"))

    def begin(self) -> int:
        """``since`` in microseconds."""
        if self.since is None:
            return 0
        return max(0, (self.since - _EPOCH) // timedelta(microseconds=1))


async def read_feed(
    database: Database, org: str, after: FeedCursor, *, limit: int, wanted: Wanted
) -> tuple[list[Envelope], FeedCursor]:
    """The next ``limit`` events or fewer, and the cursor behind them.

    None may be there yet, or none among those looked through: ask again with the new cursor.
    """
    settled = await _settled(database)
    page = _Page(after, limit, settled)
    log = _Log(database, org, wanted)
    place = max(after.base, (wanted.begin(), ""))
    for _ in range(ROUNDS):
        until = await log.ahead(place)
        size = page.room + len(after.seen) + 1
        looked_at = 0
        async with aclosing(log.between(place, until, size)) as found:
            async for document in found:
                here = (document["logged"], document["_id"])
                if not page.take(document, here):
                    return page.end(place)
                place = here
                looked_at += 1
        if looked_at == size:
            continue
        if until is None:
            return page.end(max(place, (settled, "")))
        place = until
    return page.end(place)


async def _settled(database: Database) -> int:
    """The time before which every commit is visible, in microseconds.

    It is reckoned from the last write that a majority has: while a server stands still, or
    replication does, nothing becomes settled.
    """
    at = time.time_ns() // 1000
    hello = await database.command("hello")
    written = hello.get("lastWrite", {}).get("majorityWriteDate")
    if written is not None:
        at = min(at, (written.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1))
    return max(0, at - int(HOLD * 1e6))


class _Page:
    """What is shown, and with it the next cursor."""

    def __init__(self, after: FeedCursor, limit: int, settled: int) -> None:
        self._after = after
        self._settled = settled
        self._events: list[Envelope] = []
        self._shown: dict[bytes, Position] = {}
        self._bytes = 0
        self.room = limit
        held = sum(1 for tick in after.seen.values() if tick * TICK >= settled)
        self._unsettled_room = SEEN_LIMIT - held

    def take(self, document: Mapping[str, Any], here: Position) -> bool:
        """Show an event, unless it was, or must not be; False when there is no room for it."""
        digest = digest_of(here[1])
        if digest in self._after.seen:
            return True
        event = logged_event(dict(document))
        if is_private(event):
            return True
        unsettled = here[0] >= self._settled
        if self.room == 0 or (unsettled and self._unsettled_room <= 0):
            return False
        self._bytes += len(bson.encode(document))
        if self._events and self._bytes > PAGE_BYTES:
            return False
        self.room -= 1
        self._unsettled_room -= unsettled
        self._events.append(event)
        self._shown[digest] = here
        return True

    def end(self, place: Position) -> tuple[list[Envelope], FeedCursor]:
        """The page, when everything up to ``place`` has been looked at."""
        base = max(self._after.base, min(place, (self._settled, "")))
        seen = {digest: tick for digest, tick in self._after.seen.items() if tick * TICK >= base[0]}
        seen |= {digest: tick_of(at[0]) for digest, at in self._shown.items() if at > base}
        return self._events, FeedCursor(base, seen)


class _Log:
    """Queries on the log, each of bounded cost."""

    def __init__(self, database: Database, org: str, wanted: Wanted) -> None:
        self._events = database[EVENTS].with_options(read_concern=ReadConcern("majority"))
        self._org = org
        self._filter = wanted.query()

    async def ahead(self, place: Position) -> Position | None:
        """The position so many events ahead that a query with filters goes no further."""
        if not self._filter:
            return None
        found = (
            await self._events.find(self._behind(place), {"logged": 1})
            .sort(FEED_ORDER)
            .hint(FEED_ORDER)
            .skip(SCAN - 1)
            .limit(1)
            .to_list()
        )
        return (found[0]["logged"], found[0]["_id"]) if found else None

    async def between(
        self, place: Position, until: Position | None, size: int
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The first events behind ``place`` that fit, up to ``until``."""
        query: dict[str, Any] = {**self._behind(place), **self._filter}
        if until is not None:
            query["logged"]["$lte"] = until[0]
            last = [{"logged": {"$lt": until[0]}}, {"_id": {"$lte": until[1]}}]
            query["$and"] = [{"$or": last}]
        found = self._events.find(query).sort(FEED_ORDER).hint(FEED_ORDER)
        # One by one: of large events a page may take only the first few.
        async with found.limit(size).batch_size(size) as documents:
            async for document in documents:
                yield document

    def _behind(self, place: Position) -> dict[str, Any]:
        logged, id = place
        return {
            "org": self._org,
            "logged": {"$gte": logged},
            "$or": [{"logged": {"$gt": logged}}, {"_id": {"$gt": id}}],
        }
