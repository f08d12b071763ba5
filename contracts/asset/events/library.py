"""Events of the library."""

from __future__ import annotations

from contracts.base import Event
from contracts.types import Id


class AssetUpdated(Event):
    """An asset was renamed, tagged or moved, or its rights are others."""

    wire = "asset.asset.updated"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    folder_id: Id | None = None
    name: str
    tags: tuple[str, ...] = ()


class AssetDeleted(Event):
    """An asset is gone from the library: into the trash, where it is kept for some days."""

    wire = "asset.asset.deleted"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None


class AssetRestored(Event):
    """An asset is back from the trash: somebody, or what uses it, wants it."""

    wire = "asset.asset.restored"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    name: str
    used_by: Id | None = None


class AssetPurged(Event):
    """An asset is gone for good, with what no other asset has of its bytes."""

    wire = "asset.asset.purged"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
