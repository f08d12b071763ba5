"""What may be asked of asset."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.asset.types import AssetKind, Tags
from contracts.base import Command, IfRevision, absent
from contracts.types import Id, Name, Sha256


class RegisterAsset(Command):
    """Make an asset of bytes the gateway has stored under the id ``blob_id``."""

    wire = "asset.asset.register"

    blob_id: Id
    name: Name
    media_type: str = Field(max_length=127)
    kind: AssetKind
    bytes: Annotated[int, Field(ge=1)]
    sha256: Sha256
    project_id: Id | None = None
    tags: Tags = ()


class UpdateAsset(Command):
    """Rename an asset, tag it, or move it to another project (null: to none)."""

    wire = "asset.asset.update"

    asset: Id
    name: Name = absent()
    tags: Tags = absent()
    project_id: Id | None = None
    if_revision: IfRevision = None


class DeleteAsset(Command):
    """Remove an asset; its bytes go when no other asset has them."""

    wire = "asset.asset.delete"

    asset: Id
    if_revision: IfRevision = None


class ProcessAsset(Command):
    """Look into an asset and make its renditions."""

    wire = "asset.asset.process"
    lane = "slow"

    asset: Id


class SweepBlob(Command):
    """Remove stored bytes that no asset has."""

    wire = "asset.blob.sweep"
    lane = "slow"

    organization_id: Id
    blob_id: Id


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
