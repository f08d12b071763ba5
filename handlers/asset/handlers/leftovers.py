"""What killed processes have left in the object store: bytes nobody registered, parts of nothing.

Bytes are removed only when they are older than anything that waits can be, no document has
them, no upload is under way to them, and no command or dead letter that waits names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from redis.asyncio import Redis

from bus import streams
from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import SweepParts, SweepStore
from contracts.base import Command
from contracts.types import now
from handlers.asset.documents import Blob, PresignedUpload
from handlers.asset.handlers.patience import patient
from handlers.asset.rules import ORGANIZATIONS, blob_key, past, stored_as
from infra.object_store import DirectUploads, Multipart, ObjectStore
from infra.staged_uploads import blob_of

log = structlog.get_logger(__name__)

LOOKED_AT = 1000
"""Objects one command looks at, about."""
COST_OF_A_JUMP = 20
"""What passing over a folder counts, in objects: it is a call of its own."""
ENDED = 500
"""Uploads in parts that are looked at in one go."""
WAITING = 100_000
"""Commands and dead letters that are looked through; while more wait, nothing is removed."""
PAGE = 500


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The handlers, with what they need of the outside world."""

    store: ObjectStore
    redis: Redis
    orphaned: timedelta
    """Age from which bytes may be nobody's."""
    abandoned: timedelta
    """Age from which parts may be."""

    async def due(self) -> Sequence[Command]:
        """A walk through the store; through its parts, where it has them."""
        if self.store.direct() is None:
            return [SweepStore()]
        return [SweepStore(), SweepParts()]

    async def sweep_store(self, command: SweepStore, uow: UnitOfWork) -> None:
        async with patient():
            old, cursor = await self._stretch(command.after, now() - self.orphaned)
            orphans = await self._of_nobody(old) if old else []
            if orphans:
                log.info("orphans_removed", objects=len(orphans))
                await self.store.delete(orphans)
        if cursor is not None:
            uow.send(SweepStore(after=cursor))

    async def _stretch(self, after: str, before: datetime) -> tuple[dict[str, str], str | None]:
        """Old objects of uploads, key → id, and where to go on; None at the end."""
        old: dict[str, str] = {}
        looked = 0
        while looked < LOOKED_AT:
            jump = ""
            async for stat in self.store.list(ORGANIZATIONS, after=after):
                after = stat.key
                id = stored_as(stat.key)
                if id is None:
                    jump = past(stat.key)
                    break
                if stat.modified < before:
                    old[stat.key] = id
                looked += 1
                if looked >= LOOKED_AT:
                    return old, after
            if not jump:
                return old, None
            after, looked = jump, looked + COST_OF_A_JUMP
        return old, after

    async def _of_nobody(self, old: dict[str, str]) -> list[str]:
        """The keys of those that nobody has, or is going to."""
        ids = list(old.values())
        # In this order: what moves on while we look is seen where it comes to.
        taken = await self._named(ids, streams.dead("asset"))
        taken |= await self._named(ids, streams.commands("asset"))
        taken |= await self._named(ids, streams.commands("asset", "slow"))
        # Once more: a command may have become a dead letter, as a letter may have been sent again.
        taken |= await self._named(ids, streams.dead("asset"))
        taken |= {blob_of(id) async for _, id, _ in self.store.staging().list()}
        for field in ("_id", "blob_id"):
            found = PresignedUpload.get_pymongo_collection().find({field: {"$in": ids}}, {field: 1})
            taken |= {each[field] async for each in found}
        blobs = Blob.get_pymongo_collection().find({"_id": {"$in": ids}}, {"_id": 1})
        taken |= {each["_id"] async for each in blobs}
        return [key for key, id in old.items() if id not in taken]

    async def _named(self, ids: list[str], stream: str) -> set[str]:
        """Those that an entry of a stream names; all of them where too many wait."""
        redis = cast(Any, self.redis)
        if await redis.xlen(stream) > WAITING:
            return set(ids)
        names = {id.encode(): id for id in ids}
        found: set[str] = set()
        start = "-"
        while entries := await redis.xrange(stream, start, "+", count=PAGE):
            for _, fields in entries:
                body = b"".join(fields.values())
                found |= {id for name, id in names.items() if name in body}
            start = f"({entries[-1][0].decode()}"
        return found

    async def sweep_parts(self, _: SweepParts, __: UnitOfWork) -> None:
        direct = self.store.direct()
        if direct is None:
            return
        before = now() - self.abandoned
        async with patient():
            old: list[Multipart] = []
            async for each in direct.unfinished(ORGANIZATIONS):
                if each.begun < before:
                    old.append(each)
                if len(old) >= ENDED:
                    break
            ids = [each.id for each in old]
            kept = PresignedUpload.get_pymongo_collection().find(
                {"multipart_id": {"$in": ids}}, {"multipart_id": 1}
            )
            taken = {each["multipart_id"] async for each in kept}
            staged = {
                blob_key(org, blob_of(id)) async for org, id, _ in self.store.staging().list()
            }
            for each in old:
                if each.id in taken or each.key in staged:
                    continue
                if not await _grows(direct, each, before):
                    log.info("parts_aborted", key=each.key)
                    await direct.abort(each.key, each.id)


async def _grows(direct: DirectUploads, upload: Multipart, before: datetime) -> bool:
    """Whether a part of it has come lately."""
    parts = await direct.parts(upload.key, upload.id)
    return any(part.came >= before for part in parts)
