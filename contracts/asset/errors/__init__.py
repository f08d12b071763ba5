"""How asset refuses."""

from __future__ import annotations

from contracts.asset.errors.files import FileNotFound, FileUrlInvalid
from contracts.asset.errors.library import AssetNotFound
from contracts.asset.errors.presigned import (
    PresignedIncomplete,
    PresignedMismatch,
    PresignedNotFound,
    PresignUnavailable,
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
    "BytesMissing",
    "FileNotFound",
    "FileUrlInvalid",
    "ImageCorrupt",
    "ImageFailed",
    "ImageTimeout",
    "ImageTooLarge",
    "ImageUnsupported",
    "PresignUnavailable",
    "PresignedIncomplete",
    "PresignedMismatch",
    "PresignedNotFound",
    "QuotaExceeded",
    "StorageFull",
    "UploadCut",
    "UploadEmpty",
    "UploadMalformed",
    "UploadTooLarge",
]
