"""How asset refuses."""

from __future__ import annotations

from contracts.asset.errors.files import FileNotFound, FileUrlInvalid
from contracts.asset.errors.library import AssetInUse, AssetNotFound
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
from contracts.asset.errors.versions import (
    VersionCurrent,
    VersionKindDiffers,
    VersionNotFound,
    VersionNotReady,
    VersionsExhausted,
    VersionUnchanged,
)

__all__ = [
    "AssetInUse",
    "AssetNotFound",
    "BytesMissing",
    "FileNotFound",
    "FileUrlInvalid",
    "ImageCorrupt",
    "ImageFailed",
    "ImageTimeout",
    "ImageTooLarge",
    "ImageUnsupported",
    "QuotaExceeded",
    "StorageFull",
    "UploadCut",
    "UploadEmpty",
    "UploadMalformed",
    "UploadTooLarge",
    "VersionCurrent",
    "VersionKindDiffers",
    "VersionNotFound",
    "VersionNotReady",
    "VersionUnchanged",
    "VersionsExhausted",
]
