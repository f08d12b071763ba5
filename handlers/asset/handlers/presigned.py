"""Uploads straight into the object store: begun, verified, given up, forgotten.

Nothing that the client says of the bytes is believed: they are read and hashed where nobody
can change them any more. Every step can be done again, so a crash at any point is made good by
the next attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import (
    AbortUpload,
    ClearUpload,
    CompleteUpload,
    ExpireUpload,
    PresignUpload,
)
from contracts.asset.errors import (
    AssetNotFound,
    PresignedNotFound,
)
from contracts.asset.views import AssetView, PresignedUploadView
from contracts.base import Command
from contracts.errors import DomainError
from contracts.types import now
from handlers.asset.documents import IN_LIBRARY, Asset, Blob, PresignedUpload
from handlers.asset.handlers.holding import hold_folder
from handlers.asset.handlers.patience import patient
from handlers.asset.handlers.registering import register_asset
from handlers.asset.handlers.verifying import direct_of, verified
from handlers.asset.queries import asset_view, get_presigned
from handlers.asset.queries.presigned import presigned_view
from handlers.asset.rules import blob_key, incoming_key
from infra.object_store import ObjectStore
from infra.quota_ledger import Ledger

REGISTERED_WITHIN = 3600.0
"""Seconds that the quota holds verified bytes, until they are counted as stored."""
EXPIRED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Presigned:
    """The handlers, with what they need of the outside world."""

    store: ObjectStore
    ledger: Ledger | None
    """None where there is no quota."""
    grace: float
    """Seconds that an upload may still be completed after its URLs have expired."""
    forbidden: tuple[str, ...] = ()
    """Kinds that are not taken; see AssetSettings."""

    async def presign_upload(self, command: PresignUpload, uow: UnitOfWork) -> PresignedUploadView:
        assert command.upload_id is not None
        assert command.blob_id is not None
        assert command.expires_at is not None
        upload = PresignedUpload(
            id=command.upload_id,
            organization_id=uow.org,
            user_id=uow.actor.user,
            blob_id=command.blob_id,
            multipart_id=command.multipart_id,
            part_bytes=command.part_bytes,
            bytes=command.bytes,
            filename=command.filename,
            media_type=command.media_type or "",
            sha256=command.sha256,
            project_id=command.project_id,
            folder_id=command.folder_id,
            tags=list(command.tags),
            expires_at=command.expires_at,
        )
        uow.add(upload)
        return presigned_view(upload)

    async def complete_upload(
        self, command: CompleteUpload, uow: UnitOfWork
    ) -> AssetView | DomainError:
        upload = await get_presigned(uow.actor, command.upload_id)
        if upload.status == "completed":
            return await _made_before(upload)
        if upload.status == "refused":
            raise DomainError.all()[upload.refused_as](upload.refusal)
        # Seen before the bytes are copied: what is refused after that is swept much later.
        await hold_folder(upload.folder_id, uow)
        async with patient():
            found = await verified(self.store, upload, command.parts, self.forbidden)
        if isinstance(found, DomainError):
            upload.status, upload.refused_as = "refused", found.code
            upload.refusal = found.detail
            uow.save(upload)
            self._clear(upload, uow)
            return found
        view = await register_asset(found, uow)
        upload.status, upload.asset_id = "completed", view.id
        uow.save(upload)
        if upload.multipart_id is None:
            uow.send(_clearing(upload))
        if self.ledger is not None:
            self._end(upload, uow, found.sha256)
        return view

    async def abort_upload(self, command: AbortUpload, uow: UnitOfWork) -> None:
        upload = await get_presigned(uow.actor, command.presigned)
        if upload.status == "completed":
            raise PresignedNotFound("It is complete: what it became is an asset.")
        uow.remove(upload)
        if upload.status == "open":
            self._clear(upload, uow)

    async def expire_upload(self, command: ExpireUpload, uow: UnitOfWork) -> None:
        upload = await PresignedUpload.get(command.upload_id)
        if upload is None or not self._is_over(upload):
            return
        uow.remove(upload)
        if upload.status == "open":
            self._clear(upload, uow)

    async def clear_upload(self, command: ClearUpload, _: UnitOfWork) -> None:
        org, key = command.organization_id, blob_key(command.organization_id, command.blob_id)
        async with patient():
            if command.multipart_id is not None:
                await direct_of(self.store).abort(key, command.multipart_id)
            gone = [incoming_key(org, command.upload_id)]
            if await Blob.get(command.blob_id) is None:
                gone.append(key)
            await self.store.delete(gone)

    async def due(self) -> Sequence[Command]:
        """One command for each upload whose time is over."""
        over = now() - timedelta(seconds=self.grace)
        found = PresignedUpload.get_pymongo_collection().find({"expires_at": {"$lt": over}})
        return [
            ExpireUpload(upload_id=each["_id"])
            async for each in found.sort("expires_at").limit(EXPIRED_AT_ONCE)
        ]

    def _is_over(self, upload: PresignedUpload) -> bool:
        return upload.expires_at + timedelta(seconds=self.grace) < now()

    def _clear(self, upload: PresignedUpload, uow: UnitOfWork) -> None:
        uow.send(_clearing(upload))
        if self.ledger is not None:
            self._end(upload, uow, "")

    def _end(self, upload: PresignedUpload, uow: UnitOfWork, sha256: str) -> None:
        ledger = self.ledger
        assert ledger is not None

        async def end() -> None:
            org, size = upload.organization_id, upload.bytes
            if not sha256:
                await ledger.end(org, upload.id, "released")
                return
            # Not yet registered, but about to be: the quota lets go when it finds them counted.
            await ledger.end(org, upload.id, "queued", size, lease=REGISTERED_WITHIN, sha=sha256)

        uow.effect(end)


def _clearing(upload: PresignedUpload) -> ClearUpload:
    return ClearUpload(
        organization_id=upload.organization_id,
        upload_id=upload.id,
        blob_id=upload.blob_id,
        multipart_id=upload.multipart_id,
    )


async def _made_before(upload: PresignedUpload) -> AssetView:
    asset = await Asset.find_one(
        {"_id": upload.asset_id, "organization_id": upload.organization_id, **IN_LIBRARY}
    )
    if asset is None:
        raise AssetNotFound("It was an asset, which is gone.")
    return asset_view(asset)
