"""Events of bytes that arrived and were looked into."""

from __future__ import annotations

from contracts.asset.types import AssetKind
from contracts.base import Event
from contracts.types import Id, Instant, Sha256


class AssetUploaded(Event):
    """An asset was made; it is being processed."""

    wire = "asset.asset.uploaded"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    name: str
    kind: AssetKind
    media_type: str
    bytes: int
    sha256: Sha256


class AssetReady(Event):
    """An asset has its renditions, or those of a newer version."""

    wire = "asset.asset.ready"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    name: str
    kind: AssetKind
    media_type: str
    width: int | None = None
    height: int | None = None
    renditions: tuple[str, ...] = ()
    version: int | None = None
    uploaded_by: Id | None = None
    uploaded_at: Instant | None = None
    """Whose upload it is, and since when they wait; older events do not say."""


class AssetFailed(Event):
    """An asset could not be processed; its bytes are kept."""

    wire = "asset.asset.failed"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    name: str
    code: str
    detail: str
    uploaded_by: Id | None = None
