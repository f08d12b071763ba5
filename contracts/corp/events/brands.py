"""What has happened to brands, and to who may do what in them."""

from __future__ import annotations

from contracts.base import Event
from contracts.corp.types import Status
from contracts.permissions import Role
from contracts.types import Id


class BrandCreated(Event):
    """A brand was made."""

    wire = "corp.brand.created"
    subject = "brand_id"

    brand_id: Id
    name: str


class BrandUpdated(Event):
    """A brand was renamed, archived or restored."""

    wire = "corp.brand.updated"
    subject = "brand_id"

    brand_id: Id
    name: str
    status: Status | None = None


class BrandDeleted(Event):
    """A brand is gone."""

    wire = "corp.brand.deleted"
    subject = "brand_id"

    brand_id: Id


class BrandRoleAdded(Event):
    """A member or a team has a role of its own in a brand."""

    wire = "corp.brand_role.added"
    subject = "brand_id"

    brand_id: Id
    holder: Id
    role: Role


class BrandRoleChanged(Event):
    """A member or a team has another role in a brand."""

    wire = "corp.brand_role.changed"
    subject = "brand_id"

    brand_id: Id
    holder: Id
    role: Role


class BrandRoleRemoved(Event):
    """A member or a team has no longer a role of its own in a brand."""

    wire = "corp.brand_role.removed"
    subject = "brand_id"

    brand_id: Id
    holder: Id


class BrandKitUpdated(Event):
    """The colours, fonts or logos of a brand were changed."""

    wire = "corp.brand_kit.updated"
    subject = "brand_id"

    brand_id: Id
    name: str | None = None
    asset_ids: tuple[Id, ...] | None = None
    """The assets that its fonts and logos are, each once; older events do not say."""
