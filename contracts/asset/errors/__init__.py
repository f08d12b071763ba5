"""How asset refuses."""

from __future__ import annotations

from contracts.asset.errors.files import FileNotFound, FileUrlInvalid
from contracts.asset.errors.library import AssetNotFound
from contracts.asset.errors.processing import (
    ArchiveBomb,
    ArchiveCorrupt,
    ArchiveTooLarge,
    ArchiveUnsafe,
    BytesMissing,
    ImageCorrupt,
    ImageFailed,
    ImageTimeout,
    ImageTooLarge,
    ImageUnsupported,
    InspectionTimeout,
)
from contracts.asset.errors.uploads import (
    QuotaExceeded,
    StorageFull,
    TusVersionUnsupported,
    TypeForbidden,
    UploadChecksumWrong,
    UploadCut,
    UploadEmpty,
    UploadExpired,
    UploadHeaderInvalid,
    UploadLocked,
    UploadMalformed,
    UploadNotFound,
    UploadOffsetWrong,
    UploadsTooMany,
    UploadTooLarge,
)

__all__ = [
    "ArchiveBomb",
    "ArchiveCorrupt",
    "ArchiveTooLarge",
    "ArchiveUnsafe",
    "AssetNotFound",
    "BytesMissing",
    "FileNotFound",
    "FileUrlInvalid",
    "ImageCorrupt",
    "ImageFailed",
    "ImageTimeout",
    "ImageTooLarge",
    "ImageUnsupported",
    "InspectionTimeout",
    "QuotaExceeded",
    "StorageFull",
    "TusVersionUnsupported",
    "TypeForbidden",
    "UploadChecksumWrong",
    "UploadCut",
    "UploadEmpty",
    "UploadExpired",
    "UploadHeaderInvalid",
    "UploadLocked",
    "UploadMalformed",
    "UploadNotFound",
    "UploadOffsetWrong",
    "UploadTooLarge",
    "UploadsTooMany",
]
