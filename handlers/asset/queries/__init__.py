"""Reads of asset. Every one takes the actor first and stays in the actor's organization."""

from __future__ import annotations

from handlers.asset.queries.assets import (
    find_project_of_asset,
    get_asset,
    get_asset_status,
    list_assets,
)
from handlers.asset.queries.presigned import find_project_of_presigned, get_presigned
from handlers.asset.queries.storage import (
    get_asset_count,
    get_stored_bytes,
    list_stored_contents,
)
from handlers.asset.queries.transforms import get_transform
from handlers.asset.queries.views import asset_view, use_signer

__all__ = [
    "asset_view",
    "find_project_of_asset",
    "find_project_of_presigned",
    "get_asset",
    "get_asset_count",
    "get_asset_status",
    "get_presigned",
    "get_stored_bytes",
    "get_transform",
    "list_assets",
    "list_stored_contents",
    "use_signer",
]
