"""Group commit: units that are ready at the same time share one MongoDB transaction.

While one transaction is under way the next units gather, so the batch grows with the load
and a lone unit never waits. When a batch aborts over one unit, the others are committed
without it; when it is not known over which, each half is tried on its own. So a unit that
cannot be committed harms nobody but itself, and costs one transaction more, not one each.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import Histogram
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, ConnectionFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bus.documents import EVENTS, INBOX, OUTBOX, Database
from bus.gathering import gather_from
from bus.logged import event_document
from bus.unit_of_work import AlreadyHandled, Conflict, Duplicate, UnitOfWork
from bus.writes import clashing, duplicate_at, writes_of
from contracts.types import new_id, now

log = structlog.get_logger(__name__)

SWEEP_EVERY = 0.2
"""Seconds between removals of outbox documents whose messages are published."""


TRIES = 6
"""Transactions begun for a batch that meets others, before it is taken apart."""
TRIES_OF_PARTS = 2


COMMIT_WITHIN = 5.0
"""Seconds from ``logged`` to the commit; the feed settles what is older than 10 (HOLD in feed/log.py)."""


class _Contended(Exception):
    """Other transactions hold what this one writes."""


@dataclass(slots=True)
class Publication:
    """The outbox document of one transaction, and how many of its units still publish."""

    outbox: str
    waiting: int


Waiting = tuple[UnitOfWork, "asyncio.Future[Publication | None]"]

BATCH = Histogram(
    "grid8_commit_units", "Units of work per transaction", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
SECONDS = Histogram("grid8_commit_seconds", "Duration of a commit")


async def forget_published(database: Database, ids: Sequence[str]) -> None:
    """Note that these outbox documents are published: what holds commands stays, as ``sent``.

    Events can be found again in the log. A command is kept until it has been handled,
    because Redis may yet lose it; the relay forgets it then.
    """
    gone = await database[OUTBOX].delete_many({"_id": {"$in": ids}, "commands": []})
    if gone.deleted_count < len(ids):
        await database[OUTBOX].update_many({"_id": {"$in": ids}}, {"$set": {"sent": now()}})


class Committer:
    """Writes units. One per process."""

    def __init__(
        self, client: AsyncMongoClient[dict[str, Any]], database: Database, *, limit: int = 128
    ) -> None:
        self._client = client
        self._database = database
        self._limit = limit
        self._queue: list[Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self._swept: list[str] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def commit(self, unit: UnitOfWork) -> Publication | None:
        """Write the unit; on return it is durable on a majority of the replica set.

        Returns what to tell ``published`` about, None when the unit publishes nothing.
        Raises Conflict when the handler must run again, AlreadyHandled when the message was
        handled before, and PyMongoError when MongoDB could not be reached.
        """
        future: asyncio.Future[Publication | None] = asyncio.get_running_loop().create_future()
        self._queue.append((unit, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain(), name="committer")
        return await future

    async def _drain(self) -> None:
        while self._queue:
            await gather_from(self._queue, self._limit)
            batch, self._queue = self._queue[: self._limit], self._queue[self._limit :]
            too_late = clashing(unit for unit, _ in batch)
            try:
                with SECONDS.time():
                    await self._commit_together([each for each in batch if each[0] not in too_late])
            finally:
                # Only now, so that who runs again finds what it met.
                for unit, future in batch:
                    if unit in too_late:
                        _settle(future, Conflict("another unit of the batch changes it", unit))

    async def _commit_together(self, batch: list[Waiting], tries: int = TRIES) -> None:
        BATCH.observe(len(batch))
        try:
            outbox = await self._transact([unit for unit, _ in batch], tries=tries)
        except Exception as error:
            log.debug("batch_aborted", units=len(batch), reason=str(error))
            await self._commit_apart(batch, error)
        except BaseException as error:
            for _, future in batch:
                _settle(future, error)
            raise
        else:
            publishing = sum(1 for unit, _ in batch if unit.outbound())
            publication = Publication(outbox, publishing) if outbox else None
            for unit, future in batch:
                if not future.done():
                    future.set_result(publication if unit.outbound() else None)

    async def _commit_apart(self, batch: list[Waiting], error: Exception) -> None:
        """Settle the unit to blame and commit the others; or halve the batch."""
        if len(batch) == 1 or isinstance(error, ConnectionFailure):
            # MongoDB is as far away for each of them as for all.
            for _, future in batch:
                _settle(future, error)
            return
        blamed = error.unit if isinstance(error, Conflict) else None
        if blamed is None:
            tries = TRIES_OF_PARTS if isinstance(error, PyMongoError) else TRIES
            middle = len(batch) // 2
            await self._commit_together(batch[:middle], tries)
            await self._commit_together(batch[middle:], tries)
            return
        await self._commit_together([each for each in batch if each[0] is not blamed])
        # Only now, so that who runs again, or looks into the inbox, finds what it met.
        for unit, future in batch:
            if unit is blamed:
                _settle(future, error)

    def published(self, publication: Publication) -> None:
        """One unit's messages are on their streams; after the last, the outbox forgets them."""
        publication.waiting -= 1
        if publication.waiting > 0:
            return
        self._swept.append(publication.outbox)
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep(), name="outbox-sweeper")

    async def _sweep(self) -> None:
        while self._swept:
            await asyncio.sleep(SWEEP_EVERY)
            ids, self._swept = self._swept, []
            try:
                await forget_published(self._database, ids)
            except PyMongoError as error:
                # The relay will publish these once more, and consumers will skip them.
                log.warning("outbox_not_swept", documents=len(ids), reason=str(error)[:200])

    async def _transact(self, units: Sequence[UnitOfWork], *, tries: int) -> str | None:
        """Write units; after ``tries`` meetings with other transactions, raise what was met.

        with_transaction alone would go on for two minutes, and everybody would wait: a
        process that was killed leaves its transaction, and what that has locked, behind.
        """
        outbound = [envelope for unit in units for envelope in unit.outbound()]
        outbox_id = new_id("out") if outbound else None

        met: list[PyMongoError] = []

        async def write(session: AsyncClientSession) -> None:
            if len(met) >= tries:
                raise _Contended
            try:
                await write_all(session)
            except PyMongoError as error:
                met.append(error)
                raise

        async def write_all(session: AsyncClientSession) -> None:
            await self._write_inbox(units, session)
            await self._write_documents(units, session)
            begun = time.monotonic()
            events = [event_document(event) for unit in units for event in unit.events]
            if events:
                # Read after the first statement, with which MongoDB begins to count the life of
                # a transaction: whatever stands still, it is committed soon after, or never.
                logged = time.time_ns() // 1000
                for number, event in enumerate(events):
                    event["logged"] = logged + number
                await self._database[EVENTS].insert_many(events, session=session)
            if outbox_id is not None:
                await self._database[OUTBOX].insert_one(
                    {
                        "_id": outbox_id,
                        "at": now(),
                        "events": [event["_id"] for event in events],
                        "commands": [
                            command.model_dump(mode="json", exclude_none=True)
                            for unit in units
                            for command in unit.commands
                        ],
                    },
                    session=session,
                )
            if time.monotonic() - begun > COMMIT_WITHIN:
                # MongoDB has stood still. Readers of the feed may be past this by now: anew.
                raise PyMongoError("it took too long", error_labels=["TransientTransactionError"])

        async with self._client.start_session() as session:
            try:
                await session.with_transaction(
                    write,
                    read_concern=ReadConcern("snapshot"),
                    write_concern=WriteConcern("majority", j=True),
                )
            except _Contended:
                raise met[-1] from None
        return outbox_id

    async def _write_inbox(self, units: Sequence[UnitOfWork], session: AsyncClientSession) -> None:
        entries = [
            {
                "_id": unit.inbox_key,
                "at": now(),
                "type": unit.message.type,
                **({"outcome": unit.outcome.model_dump(mode="json")} if unit.outcome else {}),
            }
            for unit in units
        ]
        try:
            await self._database[INBOX].insert_many(entries, session=session)
        except BulkWriteError as error:
            at = duplicate_at(error)
            if at is None:
                raise
            raise AlreadyHandled("in the inbox already", units[at]) from error

    async def _write_documents(
        self, units: Sequence[UnitOfWork], session: AsyncClientSession
    ) -> None:
        for collection, writes in writes_of(units).items():
            try:
                result = await self._database[collection].bulk_write(
                    writes.operations, ordered=True, session=session
                )
            except BulkWriteError as error:
                at = duplicate_at(error)
                if at is None:
                    raise
                raise Duplicate(f"a duplicate in {collection}", writes.owners[at]) from error
            if result.matched_count + result.deleted_count != writes.expected:
                raise Conflict(f"a document of {collection} has changed since it was read")

    async def close(self) -> None:
        """Wait until everything handed in has been written."""
        for task in (self._task, self._sweeper):
            if task is not None:
                with contextlib.suppress(Exception):
                    await task


def _settle(future: asyncio.Future[Publication | None], error: BaseException) -> None:
    if future.done():
        return
    future.set_exception(
        error if isinstance(error, Exception) else RuntimeError("the process is stopping")
    )
