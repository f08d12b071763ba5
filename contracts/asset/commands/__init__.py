"""What may be asked of asset."""

from __future__ import annotations

from contracts.asset.commands.bulk import ChangeAssets, RenameTag, RetagAssets
from contracts.asset.commands.folders import (
    CreateFolder,
    DeleteFolder,
    EmptyFolder,
    UpdateFolder,
)
from contracts.asset.commands.library import DeleteAsset, DetachProject, PurgeAssets, UpdateAsset
from contracts.asset.commands.processing import ProcessAsset, SweepRenditions
from contracts.asset.commands.transforms import RenderTransform
from contracts.asset.commands.uploads import RegisterAsset, SweepBlob, SweepUpload

__all__ = [
    "ChangeAssets",
    "CreateFolder",
    "DeleteAsset",
    "DeleteFolder",
    "DetachProject",
    "EmptyFolder",
    "ProcessAsset",
    "PurgeAssets",
    "RegisterAsset",
    "RenameTag",
    "RenderTransform",
    "RetagAssets",
    "SweepBlob",
    "SweepRenditions",
    "SweepUpload",
    "UpdateAsset",
    "UpdateFolder",
]
