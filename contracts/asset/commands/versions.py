"""Commands about the versions of an asset."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.asset.types import AssetKind, VersionNumber
from contracts.base import Command, IfRevision
from contracts.types import Id, Sha256


class AddVersion(Command):
    """Make bytes the gateway has stored the newest version of an asset."""

    wire = "asset.version.add"

    asset: Id
    blob_id: Id
    media_type: str = Field(max_length=127)
    kind: AssetKind
    bytes: Annotated[int, Field(ge=1)]
    sha256: Sha256
    if_revision: IfRevision = None


class RestoreVersion(Command):
    """Make an earlier version the current one again, under a new number."""

    wire = "asset.version.restore"

    asset: Id
    version: VersionNumber
    if_revision: IfRevision = None


class RemoveVersion(Command):
    """Remove a version for good; the current one stays."""

    wire = "asset.version.remove"

    asset: Id
    version: VersionNumber
    if_revision: IfRevision = None
