"""What may be asked of asset."""

from __future__ import annotations

from contracts.asset.commands.library import DeleteAsset, DetachProject, PurgeAssets, UpdateAsset
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
    "AddVersion",
    "DeleteAsset",
    "DetachProject",
    "EmptyTrash",
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
    "SweepRenditions",
    "SweepUpload",
    "TellRights",
    "UpdateAsset",
]
