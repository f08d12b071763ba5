"""Routes of assets and their files."""

from __future__ import annotations

from bus.paging import Page
from contracts.asset.commands import DeleteAsset, UpdateAsset
from contracts.asset.views import AssetView
from contracts.permissions import Permission
from gateway.files import FileParameters, get_file
from gateway.receiving import UploadParameters
from gateway.table import Access, Route, command, custom, query
from gateway.uploads import upload_asset
from handlers.asset.queries import get_asset, list_assets
from handlers.corp.queries import get_open_project

PUBLIC = Access.PUBLIC
ORG = "/v1/orgs/{org}"
ASSET = ORG + "/assets/{asset}"

ASSETS: list[Route] = [
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
    query(ORG + "/assets", list_assets, allow=Permission.ASSET_READ, answers=Page[AssetView]),
    query(ASSET, get_asset, allow=Permission.ASSET_READ, answers=AssetView, revised=False),
    command(
        "PATCH",
        ASSET,
        UpdateAsset,
        allow=Permission.ASSET_WRITE,
        answers=AssetView,
        references={"project_id": get_open_project},
    ),
    command("DELETE", ASSET, DeleteAsset, allow=Permission.ASSET_DELETE),
    custom(
        "GET",
        "/files/{key:.+}",
        get_file,
        allow=PUBLIC,
        parameters=FileParameters,
        produces="application/octet-stream",
    ),
]
