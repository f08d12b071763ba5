"""What may be asked of asset."""

from __future__ import annotations

from contracts.asset.commands.library import DeleteAsset, DetachProject, PurgeAssets, UpdateAsset
from contracts.asset.commands.processing import ProcessAsset, SweepRenditions
from contracts.asset.commands.uploads import RegisterAsset, SweepBlob

__all__ = [
    "DeleteAsset",
    "DetachProject",
    "ProcessAsset",
    "PurgeAssets",
    "RegisterAsset",
    "SweepBlob",
    "SweepRenditions",
    "UpdateAsset",
]
