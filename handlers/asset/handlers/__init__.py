"""One function or method per command: load, decide, stage."""

from __future__ import annotations

from handlers.asset.handlers.blobs import Blobs
from handlers.asset.handlers.bulk import change_assets, rename_tag, retag_assets
from handlers.asset.handlers.folders import Folders, delete_folder, empty_folder, update_folder
from handlers.asset.handlers.inspecting import Inspecting
from handlers.asset.handlers.leftovers import Leftovers
from handlers.asset.handlers.library import (
    delete_asset,
    detach_project,
    purge_assets,
    update_asset,
)
from handlers.asset.handlers.presigned import Presigned
from handlers.asset.handlers.processing import Processing
from handlers.asset.handlers.rebuilding import Rebuilding
from handlers.asset.handlers.registering import register_asset
from handlers.asset.handlers.rendering import Rendering
from handlers.asset.handlers.transforms import Transforms
from handlers.asset.handlers.uploads import Uploads

__all__ = [
    "Blobs",
    "Folders",
    "Inspecting",
    "Leftovers",
    "Presigned",
    "Processing",
    "Rebuilding",
    "Rendering",
    "Transforms",
    "Uploads",
    "change_assets",
    "delete_asset",
    "delete_folder",
    "detach_project",
    "empty_folder",
    "purge_assets",
    "register_asset",
    "rename_tag",
    "retag_assets",
    "update_asset",
    "update_folder",
]
