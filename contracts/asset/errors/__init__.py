"""How asset refuses."""

from __future__ import annotations

from contracts.asset.errors.files import (
    FileChanged,
    FileNotFound,
    FileUrlExpired,
    FileUrlInvalid,
    RangeOutside,
)
from contracts.asset.errors.library import AssetInUse, AssetNotFound
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
from contracts.asset.errors.transforms import (
    AssetNotReady,
    TransformImpossible,
    TransformInvalid,
    TransformLater,
)
from contracts.asset.errors.uploads import (
    QuotaExceeded,
    StorageFull,
    TypeForbidden,
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
    "ArchiveBomb",
    "ArchiveCorrupt",
    "ArchiveTooLarge",
    "ArchiveUnsafe",
    "AssetInUse",
    "AssetNotFound",
    "AssetNotReady",
    "BytesMissing",
    "FileChanged",
    "FileNotFound",
    "FileUrlExpired",
    "FileUrlInvalid",
    "ImageCorrupt",
    "ImageFailed",
    "ImageTimeout",
    "ImageTooLarge",
    "ImageUnsupported",
    "InspectionTimeout",
    "QuotaExceeded",
    "RangeOutside",
    "StorageFull",
    "TransformImpossible",
    "TransformInvalid",
    "TransformLater",
    "TypeForbidden",
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
