"""Commands of the library."""

from __future__ import annotations

from pydantic import Field

from contracts.asset.rights import Rights
from contracts.asset.types import Tags
from contracts.base import Command, IfRevision, absent
from contracts.types import Id, Name


class UpdateAsset(Command):
    """Rename an asset, tag it, say its rights, or move it to another project or folder (null: to
    none)."""

    wire = "asset.asset.update"

    asset: Id
    name: Name = absent()
    tags: Tags = absent()
    project_id: Id | None = None
    folder_id: Id | None = None
    rights: Rights | None = Field(None, description="Replaced as a whole; null: none recorded.")
    if_revision: IfRevision = None


class DeleteAsset(Command):
    """Put an asset into the trash; it is refused while something uses the asset."""

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
