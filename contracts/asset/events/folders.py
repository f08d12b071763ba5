"""Events of folders."""

from __future__ import annotations

from contracts.base import Event
from contracts.types import Id


class FolderCreated(Event):
    """A folder was made."""

    wire = "asset.folder.created"
    subject = "folder_id"

    folder_id: Id
    name: str
    parent_id: Id | None = None


class FolderUpdated(Event):
    """A folder was renamed or moved."""

    wire = "asset.folder.updated"
    subject = "folder_id"

    folder_id: Id
    name: str
    parent_id: Id | None = None


class FolderDeleted(Event):
    """A folder is gone; with what was in it, if there was something."""

    wire = "asset.folder.deleted"
    subject = "folder_id"

    folder_id: Id
