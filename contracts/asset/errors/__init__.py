"""How asset refuses."""

from __future__ import annotations

from contracts.asset.errors.files import FileNotFound, FileUrlInvalid
from contracts.asset.errors.folders import (
    FolderNameTaken,
    FolderNotEmpty,
    FolderNotFound,
    FolderTooDeep,
    FolderWithinItself,
    TooManyFolders,
)
from contracts.asset.errors.library import (
    AssetNotFound,
    BulkInvalid,
    FilterInvalid,
    TagUnchanged,
    TooManyTags,
)
from contracts.asset.errors.processing import (
    BytesMissing,
    ImageCorrupt,
    ImageFailed,
    ImageTimeout,
    ImageTooLarge,
    ImageUnsupported,
)
from contracts.asset.errors.uploads import (
    QuotaExceeded,
    StorageFull,
    UploadCut,
    UploadEmpty,
    UploadMalformed,
    UploadTooLarge,
)

__all__ = [
    "AssetNotFound",
    "BulkInvalid",
    "BytesMissing",
    "FileNotFound",
    "FileUrlInvalid",
    "FilterInvalid",
    "FolderNameTaken",
    "FolderNotEmpty",
    "FolderNotFound",
    "FolderTooDeep",
    "FolderWithinItself",
    "ImageCorrupt",
    "ImageFailed",
    "ImageTimeout",
    "ImageTooLarge",
    "ImageUnsupported",
    "QuotaExceeded",
    "StorageFull",
    "TagUnchanged",
    "TooManyFolders",
    "TooManyTags",
    "UploadCut",
    "UploadEmpty",
    "UploadMalformed",
    "UploadTooLarge",
]
