"""Reads of asset. Every one takes the actor first and stays in the actor's organization."""

from __future__ import annotations

from handlers.asset.queries.assets import (
    find_asset_in_folder,
    find_asset_with_tag,
    find_project_of_asset,
    find_projects_of_assets,
    get_asset,
    get_asset_status,
    list_assets,
)
from handlers.asset.queries.folders import folder_view, get_folder, list_folders
from handlers.asset.queries.presigned import find_project_of_presigned, get_presigned
from handlers.asset.queries.search import AssetCursor, AssetFilter
from handlers.asset.queries.storage import (
    get_asset_count,
    get_stored_bytes,
    list_stored_contents,
)
from handlers.asset.queries.tags import list_tags
from handlers.asset.queries.transforms import get_transform
from handlers.asset.queries.views import asset_view, use_signer

__all__ = [
    "AssetCursor",
    "AssetFilter",
    "asset_view",
    "find_asset_in_folder",
    "find_asset_with_tag",
    "find_project_of_asset",
    "find_project_of_presigned",
    "find_projects_of_assets",
    "folder_view",
    "get_asset",
    "get_asset_count",
    "get_asset_status",
    "get_folder",
    "get_presigned",
    "get_stored_bytes",
    "get_transform",
    "list_assets",
    "list_folders",
    "list_stored_contents",
    "list_tags",
    "use_signer",
]
