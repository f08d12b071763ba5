"""Reads of uploads straight into the object store."""

from __future__ import annotations

from contracts.actor import Actor
from contracts.asset.errors import PresignedNotFound
from contracts.asset.views import PresignedUploadView
from handlers.asset.documents import PresignedUpload


def presigned_view(upload: PresignedUpload) -> PresignedUploadView:
    """What can be told of one without signing anything."""
    return PresignedUploadView(
        upload_id=upload.id,
        status=upload.status,
        expires_at=upload.expires_at,
        bytes=upload.bytes,
        part_bytes=upload.part_bytes,
        asset_id=upload.asset_id,
    )


async def get_presigned(actor: Actor, upload: str) -> PresignedUpload:
    """A presigned upload of the actor's own. Raises PresignedNotFound, also for anybody else's."""
    found = await PresignedUpload.find_one(
        {"_id": upload, "organization_id": actor.tenant, "user_id": actor.user}
    )
    if found is None:
        raise PresignedNotFound()
    return found


async def find_project_of_presigned(actor: Actor, upload: str) -> str | None:
    """The project a presigned upload is for; None when for none, or it is none."""
    found = await PresignedUpload.get_pymongo_collection().find_one(
        {"_id": upload, "organization_id": actor.tenant}, {"project_id": 1}
    )
    return found.get("project_id") if found is not None else None
