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
    "ChangeAssets",
    "ClearUpload",
    "CompleteUpload",
    "CreateFolder",
    "DeleteAsset",
    "DeleteFolder",
    "DetachProject",
    "EmptyFolder",
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
    "RenameTag",
    "RenderTransform",
    "RestoreAsset",
    "RestoreVersion",
    "RetagAssets",
    "SweepBlob",
    "SweepParts",
    "SweepRenditions",
    "SweepStore",
    "SweepUpload",
    "TellRights",
    "UpdateAsset",
    "UpdateFolder",
    "UploadedPart",
]
