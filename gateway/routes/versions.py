"""Routes of an asset's versions, of what uses it and what it may be used for, and of the trash."""

from __future__ import annotations

from bus.paging import Page
from contracts.asset.commands import PurgeAsset, RemoveVersion, RestoreAsset, RestoreVersion
from contracts.asset.rights import RightsCheckView
from contracts.asset.views import AssetUseView, AssetView, TrashedAssetView, VersionView
from contracts.permissions import Permission
from gateway.emptying import TRASH, empty_trash
from gateway.table import Route, command, custom, query
from gateway.uploading.versions import VERSIONS, VersionParameters, upload_version
from handlers.asset.queries import (
    get_asset_rights,
    get_version,
    list_asset_usage,
    list_trash,
    list_versions,
)

ASSET = "/v1/orgs/{org}/assets/{asset}"
VERSION = VERSIONS + "/{version}"
TRASHED = TRASH + "/{asset}"
BYTES = {"schema": {"type": "string", "format": "binary", "minLength": 1}}

_VERSIONS: list[Route] = [
    query(VERSIONS, list_versions, allow=Permission.ASSET_READ, answers=Page[VersionView]),
    custom(
        "POST",
        VERSIONS,
        upload_version,
        allow=Permission.ASSET_WRITE,
        answers=VersionView,
        status=201,
        parameters=VersionParameters,
        headers={"If-Match": {"type": "string", "pattern": r'^"\d{1,15}"$'}},
        refusals=(412,),
        media={
            "application/octet-stream": BYTES,
            "image/*": BYTES,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary", "minLength": 1},
                        "filename": {"type": "string"},
                    },
                }
            },
        },
    ),
    # In it are URLs that expire.
    query(VERSION, get_version, allow=Permission.ASSET_READ, answers=VersionView, revised=False),
    command(
        "POST",
        VERSION + "/restore",
        RestoreVersion,
        allow=Permission.ASSET_WRITE,
        answers=VersionView,
        location=VERSIONS + "/{number}",
    ),
    command("DELETE", VERSION, RemoveVersion, allow=Permission.ASSET_DELETE),
]

_USES: list[Route] = [
    query(
        ASSET + "/usage",
        list_asset_usage,
        allow=Permission.ASSET_READ,
        answers=Page[AssetUseView],
    ),
    query(
        ASSET + "/rights",
        get_asset_rights,
        allow=Permission.ASSET_READ,
        answers=RightsCheckView,
    ),
]

_TRASH: list[Route] = [
    query(TRASH, list_trash, allow=Permission.ASSET_READ, answers=Page[TrashedAssetView]),
    custom("DELETE", TRASH, empty_trash, allow=Permission.ASSET_DELETE, status=204),
    command(
        "POST",
        TRASHED + "/restore",
        RestoreAsset,
        allow=Permission.ASSET_DELETE,
        answers=AssetView,
    ),
    command("DELETE", TRASHED, PurgeAsset, allow=Permission.ASSET_DELETE),
]

VERSIONED: list[Route] = [*_VERSIONS, *_USES, *_TRASH]
