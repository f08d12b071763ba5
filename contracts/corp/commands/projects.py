"""What may be asked about projects."""

from __future__ import annotations

from contracts.base import Command, IfRevision, absent
from contracts.corp.types import Status
from contracts.types import Id, Name


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
    status: Status = absent()
    if_revision: IfRevision = None


class DeleteProject(Command):
    """Remove a project. Its assets stay, without a project."""

    wire = "corp.project.delete"

    project: Id
    if_revision: IfRevision = None
