"""Events of the library."""

from __future__ import annotations

from contracts.base import Event
from contracts.types import Id


class AssetUpdated(Event):
    """An asset was renamed, tagged or moved."""

    wire = "asset.asset.updated"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    folder_id: Id | None = None
    name: str
    tags: tuple[str, ...] = ()


class AssetDeleted(Event):
    """An asset is gone."""

    wire = "asset.asset.deleted"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
