"""Routes by which files come in."""

from __future__ import annotations

from contracts.asset.views import AssetView, UsageView
from contracts.permissions import Permission
from gateway.table import Route, custom
from gateway.uploading.receiving import UploadParameters
from gateway.uploading.upload import upload_asset
from gateway.uploading.usage import get_usage

ORG = "/v1/orgs/{org}"

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
                        "tags": {"type": "string", "description": "Separated by commas."},
                    },
                }
            },
        },
    ),
    custom("GET", ORG + "/usage", get_usage, allow=Permission.ASSET_READ, answers=UsageView),
]
