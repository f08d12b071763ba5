"""What may be asked of an organization as a whole."""

from __future__ import annotations

from contracts.base import Command, IfRevision, absent
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


class TransferOrganization(Command):
    """Make a member the owner in one's own place; one stays as an admin."""

    wire = "corp.organization.transfer"

    user_id: Id
