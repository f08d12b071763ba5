"""Events of rights: raised when their time has come, once each."""

from __future__ import annotations

from contracts.base import Event
from contracts.types import Id, Instant


class RightsExpiryAnnounced(Event):
    """The rights of an asset will expire soon."""

    wire = "asset.rights.expiry_announced"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    name: str
    territories: tuple[str, ...] | None = None
    expires_at: Instant
    used_by: int = 0
    uploaded_by: Id | None = None


class RightsExpired(Event):
    """The rights of an asset have expired."""

    wire = "asset.rights.expired"
    subject = "asset_id"

    asset_id: Id
    project_id: Id | None = None
    name: str
    territories: tuple[str, ...] | None = None
    expires_at: Instant
    used_by: int = 0
    uploaded_by: Id | None = None
