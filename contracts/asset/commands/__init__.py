"""What may be asked of asset."""

from __future__ import annotations

from contracts.asset.commands.bulk import ChangeAssets, RenameTag, RetagAssets
from contracts.asset.commands.folders import (
    CreateFolder,
    DeleteFolder,
    EmptyFolder,
    UpdateFolder,
)
from contracts.asset.commands.leftovers import SweepParts, SweepStore
from contracts.asset.commands.library import DeleteAsset, DetachProject, PurgeAssets, UpdateAsset
from contracts.asset.commands.presigned import (
    AbortUpload,
    ClearUpload,
    CompleteUpload,
    ExpireUpload,
    PresignUpload,
    UploadedPart,
)
from contracts.asset.commands.processing import ProcessAsset, SweepRenditions
from contracts.asset.commands.transforms import RenderTransform
from contracts.asset.commands.uploads import RegisterAsset, SweepBlob, SweepUpload

__all__ = [
    "AbortUpload",
    "ChangeAssets",
    "ClearUpload",
    "CompleteUpload",
    "CreateFolder",
    "DeleteAsset",
    "DeleteFolder",
    "DetachProject",
    "EmptyFolder",
    "ExpireUpload",
    "PresignUpload",
    "ProcessAsset",
    "PurgeAssets",
    "RegisterAsset",
    "RenameTag",
    "RenderTransform",
    "RetagAssets",
    "SweepBlob",
    "SweepParts",
    "SweepRenditions",
    "SweepStore",
    "SweepUpload",
    "UpdateAsset",
    "UpdateFolder",
    "UploadedPart",
]
