"""How asset refuses."""

from __future__ import annotations

from contracts.asset.errors.files import (
    FileChanged,
    FileNotFound,
    FileUrlExpired,
    FileUrlInvalid,
    RangeOutside,
)
from contracts.asset.errors.library import AssetNotFound
from contracts.asset.errors.processing import (
    BytesMissing,
    ImageCorrupt,
    ImageFailed,
    ImageTimeout,
    ImageTooLarge,
    ImageUnsupported,
)
from contracts.asset.errors.transforms import (
    AssetNotReady,
    TransformImpossible,
    TransformInvalid,
    TransformLater,
)
from contracts.asset.errors.uploads import (
    StorageFull,
    UploadCut,
    UploadEmpty,
    UploadMalformed,
    UploadTooLarge,
)

__all__ = [
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
    "RangeOutside",
    "StorageFull",
    "TransformImpossible",
    "TransformInvalid",
    "TransformLater",
    "UploadCut",
    "UploadEmpty",
    "UploadMalformed",
    "UploadTooLarge",
]
