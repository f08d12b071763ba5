"""Commands of the library."""

from __future__ import annotations

from contracts.asset.types import Tags
from contracts.base import Command, IfRevision, absent
from contracts.types import Id, Name


class UpdateAsset(Command):
    """Rename an asset, tag it, or move it to another project or folder (null: to none)."""

    wire = "asset.asset.update"

    asset: Id
    name: Name = absent()
    tags: Tags = absent()
    project_id: Id | None = None
    folder_id: Id | None = None
    if_revision: IfRevision = None


class DeleteAsset(Command):
    """Remove an asset; its bytes go when no other asset has them."""

    wire = "asset.asset.delete"

    asset: Id
    if_revision: IfRevision = None


class DetachProject(Command):
    """Take assets out of a project that is gone, some at a time."""

    wire = "asset.project.detach"
    lane = "slow"

    project_id: Id


class PurgeAssets(Command):
    """Remove the assets of an organization that is gone, some at a time."""

    wire = "asset.organization.purge"
    lane = "slow"

    organization_id: Id
