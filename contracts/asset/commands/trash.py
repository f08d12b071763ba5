"""Commands about what was deleted and is not gone yet."""

from __future__ import annotations

from contracts.base import Command, IfRevision
from contracts.types import Id, Instant


class RestoreAsset(Command):
    """Take an asset out of the trash, back to where it was."""

    wire = "asset.asset.restore"

    asset: Id
    if_revision: IfRevision = None


class PurgeAsset(Command):
    """Remove an asset that is in the trash for good."""

    wire = "asset.asset.purge"

    asset: Id
    if_revision: IfRevision = None


class EmptyTrash(Command):
    """Remove everything that is in the trash for good."""

    wire = "asset.trash.empty"


class PurgeTrash(Command):
    """Remove what an organization had in its trash at a time, some at a time."""

    wire = "asset.trash.purge"
    lane = "slow"

    organization_id: Id
    before: Instant


class PurgeDue(Command):
    """Remove an asset whose days in the trash are over."""

    wire = "asset.trash.purge_due"
    lane = "slow"

    asset: Id
