"""One function or method per command: load, decide, stage."""

from __future__ import annotations

from handlers.asset.handlers.blobs import Blobs
from handlers.asset.handlers.bulk import Bulk, rename_tag, retag_assets
from handlers.asset.handlers.folders import Folders, delete_folder, update_folder
from handlers.asset.handlers.inspecting import Inspecting
from handlers.asset.handlers.leftovers import Leftovers
from handlers.asset.handlers.library import detach_project, purge_assets, update_asset
from handlers.asset.handlers.presigned import Presigned
from handlers.asset.handlers.processing import Processing
from handlers.asset.handlers.rebuilding import Rebuilding
from handlers.asset.handlers.registering import register_asset
from handlers.asset.handlers.rendering import Rendering
from handlers.asset.handlers.rights import RightsTeller
from handlers.asset.handlers.transforms import Transforms
from handlers.asset.handlers.trash import (
    Trash,
    empty_trash,
    purge_asset,
    purge_due,
    purge_trash,
    restore_asset,
)
from handlers.asset.handlers.uploads import Uploads
from handlers.asset.handlers.versions import Versions

__all__ = [
    "Blobs",
    "Bulk",
    "Folders",
    "Inspecting",
    "Leftovers",
    "Presigned",
    "Processing",
    "Rebuilding",
    "Rendering",
    "RightsTeller",
    "Transforms",
    "Trash",
    "Uploads",
    "Versions",
    "delete_folder",
    "detach_project",
    "empty_trash",
    "purge_asset",
    "purge_assets",
    "purge_due",
    "purge_trash",
    "register_asset",
    "rename_tag",
    "restore_asset",
    "retag_assets",
    "update_asset",
    "update_folder",
]
