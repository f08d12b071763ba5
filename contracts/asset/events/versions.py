"""Events of versions."""

from __future__ import annotations

from contracts.asset.types import AssetKind
from contracts.base import Event
from contracts.types import Id, Sha256


class VersionAdded(Event):
    """An asset has a newer version, which is being processed: what it shows is as before."""

    wire = "asset.version.added"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    number: int
    kind: AssetKind
    media_type: str
    bytes: int
    sha256: Sha256


class VersionReady(Event):
    """A version is processed. It is current unless a newer one was ready first."""

    wire = "asset.version.ready"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    number: int
    current: bool


class VersionFailed(Event):
    """A version could not be processed; the asset shows what it showed before."""

    wire = "asset.version.failed"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    number: int
    code: str
    detail: str
    name: str | None = None
    uploaded_by: Id | None = None


class VersionRestored(Event):
    """An earlier version is the current one again, as ``number``."""

    wire = "asset.version.restored"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    number: int
    restored: int


class VersionRemoved(Event):
    """A version is gone: somebody removed it, or it was the oldest of too many."""

    wire = "asset.version.removed"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    number: int
