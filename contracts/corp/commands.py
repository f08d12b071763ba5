"""What may be asked of corp. The organization is the envelope's, except where one is made."""

from __future__ import annotations

from typing import Literal

from contracts.auth.types import Email
from contracts.base import Command, IfRevision, absent
from contracts.permissions import Role
from contracts.types import Id, Name, Slug


class CreateOrganization(Command):
    """Make an organization; the actor becomes its owner."""

    wire = "corp.organization.create"

    name: Name
    slug: Slug | None = None


class UpdateOrganization(Command):
    """Rename an organization, or change its slug."""

    wire = "corp.organization.update"

    name: Name = absent()
    slug: Slug = absent()
    if_revision: IfRevision = None


class DeleteOrganization(Command):
    """Remove an organization that has no brands left."""

    wire = "corp.organization.delete"

    if_revision: IfRevision = None


class AddMember(Command):
    """Make a registered user a member."""

    wire = "corp.member.add"

    email: Email
    role: Role = Role.VIEWER


class ChangeMember(Command):
    """Give a member another role."""

    wire = "corp.member.change"

    user: Id
    role: Role
    if_revision: IfRevision = None


class RemoveMember(Command):
    """End a membership: another's, or one's own."""

    wire = "corp.member.remove"

    user: Id
    if_revision: IfRevision = None


class CreateBrand(Command):
    """Make a brand. Its name is unique in the organization."""

    wire = "corp.brand.create"

    name: Name


class UpdateBrand(Command):
    """Rename a brand."""

    wire = "corp.brand.update"

    brand: Id
    name: Name = absent()
    if_revision: IfRevision = None


class DeleteBrand(Command):
    """Remove a brand that has no projects left."""

    wire = "corp.brand.delete"

    brand: Id
    if_revision: IfRevision = None


class CreateProject(Command):
    """Make a project in a brand. Its name is unique there."""

    wire = "corp.project.create"

    brand_id: Id
    name: Name


class UpdateProject(Command):
    """Rename, archive or restore a project."""

    wire = "corp.project.update"

    project: Id
    name: Name = absent()
    status: Literal["active", "archived"] = absent()
    if_revision: IfRevision = None


class DeleteProject(Command):
    """Remove a project. Its assets stay, without a project."""

    wire = "corp.project.delete"

    project: Id
    if_revision: IfRevision = None
