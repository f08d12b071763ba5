"""What may be asked of asset."""

from __future__ import annotations

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
from contracts.asset.commands.rights import TellRights
from contracts.asset.commands.transforms import RenderTransform
from contracts.asset.commands.trash import (
    EmptyTrash,
    PurgeAsset,
    PurgeDue,
    PurgeTrash,
    RestoreAsset,
)
from contracts.asset.commands.uploads import RegisterAsset, SweepBlob, SweepUpload
from contracts.asset.commands.versions import AddVersion, RemoveVersion, RestoreVersion

__all__ = [
    "AbortUpload",
    "AddVersion",
    "ClearUpload",
    "CompleteUpload",
    "DeleteAsset",
    "DetachProject",
    "EmptyTrash",
    "ExpireUpload",
    "PresignUpload",
    "ProcessAsset",
    "PurgeAsset",
    "PurgeAssets",
    "PurgeDue",
    "PurgeTrash",
    "RegisterAsset",
    "RemoveVersion",
    "RenderTransform",
    "RestoreAsset",
    "RestoreVersion",
    "SweepBlob",
    "SweepParts",
    "SweepRenditions",
    "SweepStore",
    "SweepUpload",
    "TellRights",
    "UpdateAsset",
    "UploadedPart",
]
