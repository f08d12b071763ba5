"""What has happened to organizations."""

from __future__ import annotations

from contracts.base import Event
from contracts.types import Id


class OrganizationCreated(Event):
    """An organization was made."""

    wire = "corp.organization.created"
    subject = "organization_id"

    organization_id: Id
    name: str
    slug: str


class OrganizationUpdated(Event):
    """An organization was renamed, or has another slug."""

    wire = "corp.organization.updated"
    subject = "organization_id"

    organization_id: Id
    name: str
    slug: str


class OrganizationDeleted(Event):
    """An organization and all its memberships are gone."""

    wire = "corp.organization.deleted"
    subject = "organization_id"

    organization_id: Id


class OrganizationTransferred(Event):
    """An organization has another owner in the place of one."""

    wire = "corp.organization.transferred"
    subject = "organization_id"

    organization_id: Id
    from_user_id: Id
    to_user_id: Id
