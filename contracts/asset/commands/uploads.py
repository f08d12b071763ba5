"""Commands by which bytes become assets, and stored bytes go again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.asset.types import AssetKind, Tags
from contracts.base import Command
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
    folder_id: Id | None = None
    tags: Tags = ()


class SweepUpload(Command):
    """Remove what has arrived of an upload that was not completed in time."""

    wire = "asset.upload.sweep"
    lane = "slow"

    organization_id: Id
    upload_id: Id


class SweepBlob(Command):
    """Remove stored bytes that no asset has."""

    wire = "asset.blob.sweep"
    lane = "slow"

    organization_id: Id
    blob_id: Id
