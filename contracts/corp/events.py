"""What has happened in corp."""

from __future__ import annotations

from typing import Literal

from contracts.base import Event
from contracts.permissions import Role
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


class MemberAdded(Event):
    """A user became a member."""

    wire = "corp.member.added"
    subject = "user_id"

    user_id: Id
    role: Role


class MemberChanged(Event):
    """A member has another role."""

    wire = "corp.member.changed"
    subject = "user_id"

    user_id: Id
    role: Role


class MemberRemoved(Event):
    """A membership ended."""

    wire = "corp.member.removed"
    subject = "user_id"

    user_id: Id


class BrandCreated(Event):
    """A brand was made."""

    wire = "corp.brand.created"
    subject = "brand_id"

    brand_id: Id
    name: str


class BrandUpdated(Event):
    """A brand was renamed."""

    wire = "corp.brand.updated"
    subject = "brand_id"

    brand_id: Id
    name: str


class BrandDeleted(Event):
    """A brand is gone."""

    wire = "corp.brand.deleted"
    subject = "brand_id"

    brand_id: Id


class ProjectCreated(Event):
    """A project was made."""

    wire = "corp.project.created"
    subject = "project_id"

    project_id: Id
    brand_id: Id
    name: str


class ProjectUpdated(Event):
    """A project was renamed, archived or restored."""

    wire = "corp.project.updated"
    subject = "project_id"

    project_id: Id
    brand_id: Id
    name: str
    status: Literal["active", "archived"]


class ProjectDeleted(Event):
    """A project is gone."""

    wire = "corp.project.deleted"
    subject = "project_id"

    project_id: Id
    brand_id: Id
