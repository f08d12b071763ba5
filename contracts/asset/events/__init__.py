"""What has happened in asset."""

from __future__ import annotations

from contracts.asset.events.folders import FolderCreated, FolderDeleted, FolderUpdated
from contracts.asset.events.library import (
    AssetDeleted,
    AssetPurged,
    AssetRestored,
    AssetUpdated,
)
from contracts.asset.events.rights import RightsExpired, RightsExpiryAnnounced
from contracts.asset.events.uploads import AssetFailed, AssetReady, AssetUploaded
from contracts.asset.events.versions import (
    VersionAdded,
    VersionFailed,
    VersionReady,
    VersionRemoved,
    VersionRestored,
)

__all__ = [
    "AssetDeleted",
    "AssetFailed",
    "AssetPurged",
    "AssetReady",
    "AssetRestored",
    "AssetUpdated",
    "AssetUploaded",
    "FolderCreated",
    "FolderDeleted",
    "FolderUpdated",
    "RightsExpired",
    "RightsExpiryAnnounced",
    "VersionAdded",
    "VersionFailed",
    "VersionReady",
    "VersionRemoved",
    "VersionRestored",
]
