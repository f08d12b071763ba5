"""Commands of folders."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.base import Command, FromRequest, IfRevision, absent
from contracts.types import Id, Name


class CreateFolder(Command):
    """Make a folder, within another or at the top."""

    wire = "asset.folder.create"

    name: Name
    parent_id: Id | None = Field(None, description="null: at the top.")


class UpdateFolder(Command):
    """Rename a folder, or move it into another (null: to the top)."""

    wire = "asset.folder.update"

    folder: Id
    name: Name = absent()
    parent_id: Id | None = None
    if_revision: IfRevision = None


class DeleteFolder(Command):
    """Remove a folder that is empty, or with all that is in it."""

    wire = "asset.folder.delete"

    folder: Id
    recursive: Annotated[
        bool,
        FromRequest("parameter"),
        Field(description="Delete its assets and folders with it."),
    ] = False
    if_revision: IfRevision = None


class EmptyFolder(Command):
    """Delete what is in a folder that is gone, some at a time."""

    wire = "asset.folder.empty"
    lane = "slow"

    folder_id: Id
