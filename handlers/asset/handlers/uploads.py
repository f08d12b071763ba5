"""Uploads in pieces that nobody has completed in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bus.documents import INBOX_DAYS
from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import SweepUpload
from contracts.base import Command
from contracts.types import now
from handlers.asset.documents import Blob
from handlers.asset.handlers.patience import patient
from infra.leases import LeaseTaken
from infra.object_store import ObjectNotFound, ObjectStore
from infra.staged_uploads import Note, StagedUploads, blob_of

SWEPT_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Uploads:
    """The handlers, with what they need of the outside world."""

    store: ObjectStore
    uploads: StagedUploads

    async def due(self) -> Sequence[Command]:
        """A sweep for each that was begun long enough ago to have expired."""
        before = now() - timedelta(seconds=self.uploads.expire)
        found: list[Command] = []
        async for org, id, noted in self.store.staging().list():
            if noted < before:
                found.append(SweepUpload(organization_id=org, upload_id=id))
            if len(found) >= SWEPT_AT_ONCE:
                break
        return found

    async def sweep_upload(self, command: SweepUpload, _: UnitOfWork) -> None:
        org, id = command.organization_id, command.upload_id
        staging = self.store.staging()
        try:
            async with patient(), self.uploads.locked(org, id):
                staged = await staging.look(org, id)
                expires = self.uploads.expires(staged)
                if Note.model_validate(staged.note).registering is not None:
                    # An asset may yet be made of it, as long as its command can be carried out.
                    expires += timedelta(days=INBOX_DAYS)
                if expires > now():
                    return
                if staged.completed and await Blob.get(blob_of(id)) is None:
                    await self.store.delete([staged.key])
                await staging.remove(org, id)
                await self.uploads.close(org, id)
        except LeaseTaken:
            return  # somebody goes on with it
        except ObjectNotFound:
            return
