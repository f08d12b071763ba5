"""What asset stores. Bytes and renditions are in the object store."""

from __future__ import annotations

from bus.documents import Aggregate
from handlers.asset.documents.assets import IN_LIBRARY, Asset, AssetUser, AssetVersion, Content
from handlers.asset.documents.blobs import Blob, Media, StoredRendition
from handlers.asset.documents.folders import Folder
from handlers.asset.documents.presigned import PresignedUpload

DOCUMENTS: list[type[Aggregate]] = [
    Blob,
    Asset,
    AssetVersion,
    AssetUser,
    Folder,
    PresignedUpload,
]

__all__ = [
    "DOCUMENTS",
    "IN_LIBRARY",
    "Asset",
    "AssetUser",
    "AssetVersion",
    "Blob",
    "Content",
    "Folder",
    "Media",
    "PresignedUpload",
    "StoredRendition",
]
