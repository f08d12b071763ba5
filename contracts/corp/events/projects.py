"""What has happened to projects."""

from __future__ import annotations

from contracts.base import Event
from contracts.corp.types import Status
from contracts.types import Id


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
    status: Status


class ProjectDeleted(Event):
    """A project is gone."""

    wire = "corp.project.deleted"
    subject = "project_id"

    project_id: Id
    brand_id: Id
