"""How asset refuses."""

from __future__ import annotations

from contracts.asset.errors.files import FileNotFound, FileUrlInvalid
from contracts.asset.errors.library import AssetNotFound
from contracts.asset.errors.processing import (
    BytesMissing,
    ImageCorrupt,
    ImageFailed,
    ImageTimeout,
    ImageTooLarge,
    ImageUnsupported,
)
from contracts.asset.errors.uploads import (
    StorageFull,
    TusVersionUnsupported,
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
    "AssetNotFound",
    "BytesMissing",
    "FileNotFound",
    "FileUrlInvalid",
    "ImageCorrupt",
    "ImageFailed",
    "ImageTimeout",
    "ImageTooLarge",
    "ImageUnsupported",
    "StorageFull",
    "TusVersionUnsupported",
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
