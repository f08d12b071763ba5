"""Stored bytes that nobody has any more."""

from __future__ import annotations

from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import SweepBlob
from handlers.asset.documents import Blob
from handlers.asset.handlers.patience import patient
from handlers.asset.rules import blob_key, rendition_prefix, transform_prefix
from infra.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class Blobs:
    """The handlers, with what they need of the outside world."""

    store: ObjectStore

    async def sweep_blob(self, command: SweepBlob, _: UnitOfWork) -> None:
        if await Blob.get(command.blob_id) is not None:
            return  # taken after all
        async with patient():
            keys = [
                stat.key
                for prefix in (rendition_prefix, transform_prefix)
                async for stat in self.store.list(prefix(command.organization_id, command.blob_id))
            ]
            keys.append(blob_key(command.organization_id, command.blob_id))
            await self.store.delete(keys)
