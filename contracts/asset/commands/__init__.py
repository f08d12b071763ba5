"""What may be asked of asset."""

from __future__ import annotations

from contracts.asset.commands.library import DeleteAsset, DetachProject, PurgeAssets, UpdateAsset
from contracts.asset.commands.processing import ProcessAsset, SweepRenditions
from contracts.asset.commands.transforms import RenderTransform
from contracts.asset.commands.uploads import RegisterAsset, SweepBlob, SweepUpload

__all__ = [
    "DeleteAsset",
    "DetachProject",
    "ProcessAsset",
    "PurgeAssets",
    "RegisterAsset",
    "RenderTransform",
    "SweepBlob",
    "SweepRenditions",
    "SweepUpload",
    "UpdateAsset",
]
