"""What has happened in asset."""

from __future__ import annotations

from contracts.asset.events.folders import FolderCreated, FolderDeleted, FolderUpdated
from contracts.asset.events.library import AssetDeleted, AssetUpdated
from contracts.asset.events.uploads import AssetFailed, AssetReady, AssetUploaded

__all__ = [
    "AssetDeleted",
    "AssetFailed",
    "AssetReady",
    "AssetUpdated",
    "AssetUploaded",
    "FolderCreated",
    "FolderDeleted",
    "FolderUpdated",
]
