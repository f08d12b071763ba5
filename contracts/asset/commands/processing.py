"""Commands that look into assets."""

from __future__ import annotations

from contracts.asset.types import VersionNumber
from contracts.base import Command
from contracts.types import Id


class ProcessAsset(Command):
    """Look into an asset and make its renditions."""

    wire = "asset.asset.process"
    lane = "slow"

    asset: Id
    version: VersionNumber = 1


class SweepRenditions(Command):
    """Remove the renditions of a blob that were made anew since."""

    wire = "asset.renditions.sweep"
    lane = "slow"

    organization_id: Id
    blob_id: Id
