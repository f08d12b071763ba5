"""Routes of uploads straight into the object store."""

from __future__ import annotations

from contracts.asset.commands import AbortUpload, CompleteUpload, PresignUpload
from contracts.asset.views import AssetView, PresignedUploadView
from contracts.permissions import Permission
from gateway.table import Route, command, custom
from gateway.uploading.presigned import complete, get_presigned_upload, presign
from handlers.asset.queries import get_folder
from handlers.corp.queries import get_open_project

ORG = "/v1/orgs/{org}"
PRESIGNED = ORG + "/uploads/presign"

PRESIGNED_UPLOADS: list[Route] = [
    command(
        "POST",
        PRESIGNED,
        PresignUpload,
        allow=Permission.ASSET_WRITE,
        answers=PresignedUploadView,
        location=PRESIGNED + "/{upload_id}",
        references={"project_id": get_open_project, "folder_id": get_folder},
        carry=presign,
    ),
    command(
        "POST",
        ORG + "/uploads/complete",
        CompleteUpload,
        allow=Permission.ASSET_WRITE,
        answers=AssetView,
        location=ORG + "/assets/{id}",
        carry=complete,
    ),
    custom(
        "GET",
        PRESIGNED + "/{presigned}",
        get_presigned_upload,
        allow=Permission.ASSET_WRITE,
        answers=PresignedUploadView,
    ),
    command("DELETE", PRESIGNED + "/{presigned}", AbortUpload, allow=Permission.ASSET_WRITE),
]
