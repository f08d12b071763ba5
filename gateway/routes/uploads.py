"""Routes by which files come in."""

from __future__ import annotations

from contracts.asset.views import AssetView, UploadView, UsageView
from contracts.permissions import Permission
from gateway.table import Access, Route, custom
from gateway.uploading.receiving import UploadParameters
from gateway.uploading.tus import (
    append_to_upload,
    create_upload,
    delete_upload,
    describe_uploads,
    get_upload,
    override_upload,
)
from gateway.uploading.tus_protocol import MEDIA_TYPE, PATHS, VERSION
from gateway.uploading.upload import upload_asset
from gateway.uploading.usage import get_usage

ORG = "/v1/orgs/{org}"
UPLOAD = PATHS + "/{upload}"

_NUMBER = {"type": "string", "pattern": "^[0-9]{1,15}$"}
_TUS = {"Tus-Resumable": {"type": "string", "enum": [VERSION], "description": "Always required."}}
_CHECKSUM = {
    "Upload-Checksum": {
        "type": "string",
        "description": "sha1, sha256 or md5 of this request's bytes: `sha1 <Base64>`.",
    }
}
_BYTES = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}

UPLOADS: list[Route] = [
    custom(
        "POST",
        ORG + "/assets",
        upload_asset,
        allow=Permission.ASSET_WRITE,
        answers=AssetView,
        status=201,
        parameters=UploadParameters,
        media={
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary", "minLength": 1}
            },
            "image/*": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary", "minLength": 1},
                        "project_id": {"type": "string"},
                        "folder_id": {"type": "string"},
                        "tags": {"type": "string", "description": "Separated by commas."},
                    },
                }
            },
        },
    ),
    custom("GET", ORG + "/usage", get_usage, allow=Permission.ASSET_READ, answers=UsageView),
    custom("OPTIONS", PATHS, describe_uploads, allow=Access.PUBLIC, status=204),
    custom(
        "POST",
        PATHS,
        create_upload,
        allow=Permission.ASSET_WRITE,
        status=201,
        placed=True,
        media=_BYTES,
        headers={
            **_TUS,
            "Upload-Length": {**_NUMBER, "description": "Bytes of the file."},
            "Upload-Defer-Length": {
                "type": "string",
                "enum": ["1"],
                "description": "Instead, where the length will be said by a PATCH.",
            },
            "Upload-Metadata": {
                "type": "string",
                "description": (
                    "filename, filetype, project_id, folder_id and tags (separated by commas), each as "
                    "`key <Base64>`, separated by commas."
                ),
            },
            **_CHECKSUM,
        },
        refusals=(412, 460),
    ),
    custom(
        "GET",
        UPLOAD,
        get_upload,
        allow=Permission.ASSET_WRITE,
        answers=UploadView,
        placed=True,
        hurried=False,
        refusals=(409, 410, 423),
    ),
    custom(
        "PATCH",
        UPLOAD,
        append_to_upload,
        allow=Permission.ASSET_WRITE,
        status=204,
        placed=True,
        media=_BYTES,
        headers={
            **_TUS,
            "Upload-Offset": {**_NUMBER, "description": "Where these bytes begin."},
            "Upload-Length": {**_NUMBER, "description": "Where it was to be said later."},
            **_CHECKSUM,
        },
        refusals=(410, 412, 423, 460),
    ),
    custom(
        "DELETE",
        UPLOAD,
        delete_upload,
        allow=Permission.ASSET_WRITE,
        status=204,
        placed=True,
        headers=_TUS,
        refusals=(410, 412, 423),
    ),
    custom(
        "POST",
        UPLOAD,
        override_upload,
        allow=Permission.ASSET_WRITE,
        status=204,
        placed=True,
        media=_BYTES,
        headers={
            **_TUS,
            "X-HTTP-Method-Override": {"type": "string", "enum": ["HEAD", "PATCH", "DELETE"]},
        },
        refusals=(410, 412, 423, 460),
    ),
]
