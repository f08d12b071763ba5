"""Group commit: units that are ready at the same time share one MongoDB transaction.

While one transaction is under way the next units gather, so the batch grows with the load
and a lone unit never waits. When a batch aborts, its members are committed one by one: a
unit that cannot be committed harms nobody but itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from beanie.odm.utils.encoder import Encoder
from prometheus_client import Histogram
from pymongo import AsyncMongoClient, DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bus.documents import EVENTS, INBOX, OUTBOX, Aggregate, Database
from bus.unit_of_work import AlreadyHandled, Conflict, UnitOfWork
from contracts.envelope import Envelope
from contracts.types import new_id, now

log = structlog.get_logger(__name__)

SWEEP_EVERY = 0.2
"""Seconds between removals of outbox documents whose messages are published."""


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


def event_document(envelope: Envelope) -> dict[str, Any]:
    """An event as the log keeps it: its envelope, with the id as ``_id``."""
    document = envelope.model_dump(mode="python", exclude_none=True)
    document["_id"] = document.pop("id")
    if "role" in document:
        document["role"] = str(document["role"])
    return document


def logged_event(document: dict[str, Any]) -> Envelope:
    """The envelope of an event from the log."""
    return Envelope.model_validate({**document, "id": document["_id"]})


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
            batch, self._queue = self._queue[: self._limit], self._queue[self._limit :]
            with SECONDS.time():
                await self._commit_together(batch)

    async def _commit_together(self, batch: list[Waiting]) -> None:
        BATCH.observe(len(batch))
        try:
            outbox = await self._transact([unit for unit, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                _settle(batch[0][1], error)
                return
            log.debug("batch_split", units=len(batch), reason=str(error))
            for waiting in batch:
                await self._commit_together([waiting])
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
                await self._database[OUTBOX].delete_many({"_id": {"$in": ids}})
            except PyMongoError as error:
                # The relay will publish these once more, and consumers will skip them.
                log.warning("outbox_not_swept", documents=len(ids), reason=str(error)[:200])

    async def _transact(self, units: Sequence[UnitOfWork]) -> str | None:
        outbound = [envelope for unit in units for envelope in unit.outbound()]
        outbox_id = new_id("out") if outbound else None

        async def write(session: AsyncClientSession) -> None:
            await self._write_inbox(units, session)
            await self._write_documents(units, session)
            events = [event_document(event) for unit in units for event in unit.events]
            if events:
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

        async with self._client.start_session() as session:
            await session.with_transaction(
                write,
                read_concern=ReadConcern("snapshot"),
                write_concern=WriteConcern("majority", j=True),
            )
        return outbox_id

    async def _write_inbox(self, units: Sequence[UnitOfWork], session: AsyncClientSession) -> None:
        entries = [
            {
                "_id": f"{unit.group}:{unit.message.id}",
                "at": now(),
                "type": unit.message.type,
                **({"outcome": unit.outcome.model_dump(mode="json")} if unit.outcome else {}),
            }
            for unit in units
        ]
        try:
            await self._database[INBOX].insert_many(entries, session=session)
        except (BulkWriteError, DuplicateKeyError) as error:
            _reraise_unless_duplicate(error, AlreadyHandled("in the inbox already"))

    async def _write_documents(
        self, units: Sequence[UnitOfWork], session: AsyncClientSession
    ) -> None:
        operations, expected = _operations(units)
        for collection, requests in operations.items():
            try:
                result = await self._database[collection].bulk_write(
                    requests, ordered=True, session=session
                )
            except (BulkWriteError, DuplicateKeyError) as error:
                _reraise_unless_duplicate(error, Conflict(f"a duplicate in {collection}"))
                raise
            if result.matched_count + result.deleted_count != expected[collection]:
                raise Conflict(f"a document of {collection} has changed since it was read")

    async def close(self) -> None:
        """Wait until everything handed in has been written."""
        for task in (self._task, self._sweeper):
            if task is not None:
                with contextlib.suppress(Exception):
                    await task


Operation = InsertOne[dict[str, Any]] | ReplaceOne[dict[str, Any]] | UpdateOne | DeleteOne


def _operations(
    units: Iterable[UnitOfWork],
) -> tuple[dict[str, list[Operation]], dict[str, int]]:
    """The writes per collection, and how many existing documents they must find."""
    operations: dict[str, list[Operation]] = defaultdict(list)
    expected: dict[str, int] = defaultdict(int)

    def change(name: str, operation: Operation) -> None:
        operations[name].append(operation)
        expected[name] += 1

    for unit in units:
        for held in unit.holds:
            change(
                _collection(held.document),
                # A write, not a read: two transactions conflict only over what both write.
                UpdateOne(_as_read(held.document, held.expected), {"$inc": {"held": 1}}),
            )
        for saved in unit.saves:
            change(
                _collection(saved.document),
                ReplaceOne(_as_read(saved.document, saved.expected), _encode(saved.document)),
            )
        for removed in unit.removes:
            change(
                _collection(removed.document),
                DeleteOne(_as_read(removed.document, removed.expected)),
            )
        for added in unit.adds:
            operations[_collection(added)].append(InsertOne(_encode(added)))
    return operations, expected


def _collection(document: Aggregate) -> str:
    return document.get_collection_name()


def _as_read(document: Aggregate, revision: int) -> dict[str, Any]:
    return {"_id": document.id, "revision": revision}


def _encode(document: Aggregate) -> dict[str, Any]:
    encoded: dict[str, Any] = Encoder(exclude={"revision_id"}, to_db=True, keep_nulls=False).encode(
        document
    )
    return encoded


def _reraise_unless_duplicate(error: PyMongoError, meaning: Exception) -> None:
    if isinstance(error, DuplicateKeyError):
        raise meaning from error
    if isinstance(error, BulkWriteError) and any(
        each.get("code") == 11000 for each in error.details.get("writeErrors", [])
    ):
        raise meaning from error
    raise error


def _settle(future: asyncio.Future[Publication | None], error: BaseException) -> None:
    if future.done():
        return
    future.set_exception(
        error if isinstance(error, Exception) else RuntimeError("the process is stopping")
    )
