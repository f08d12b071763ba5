"""Reads of folders."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from bus.paging import Keyset, Page, sorted_page
from contracts.actor import Actor
from contracts.asset.errors import FolderNotFound
from contracts.asset.views import FolderView
from contracts.types import IdOrRoot
from handlers.asset.documents import Folder

ParentId = Annotated[
    IdOrRoot | None,
    Field(description="Directly in this folder; `root`: at the top."),
]


class FolderCursor(Keyset):
    """Where a page of folders begins and how it runs."""

    cursor: Annotated[
        str | None,
        Field(max_length=1600, min_length=1, description="next_cursor of the page before."),
    ] = None
    sort: Annotated[
        Literal["name", "-name", "created_at", "-created_at"],
        Field(description="A minus sign puts the last, or the newest, first."),
    ] = "name"


def folder_view(folder: Folder) -> FolderView:
    return FolderView(
        id=folder.id,
        name=folder.name,
        parent_id=folder.parent_id,
        created_at=folder.created_at,
        revision=folder.revision,
    )


async def list_folders(
    actor: Actor, cursor: FolderCursor, parent_id: ParentId = None
) -> Page[FolderView]:
    """The folders of the library, or of one place in it."""
    wanted: dict[str, Any] = {"organization_id": actor.tenant}
    if parent_id is not None:
        wanted["parent_id"] = None if parent_id == "root" else parent_id
    by = {"created_at": "_id", "name": "key"}
    return await sorted_page(Folder, wanted, cursor, folder_view, by=by, meaning=wanted)


async def get_folder(actor: Actor, folder: str) -> FolderView:
    """One folder. Raises FolderNotFound, also for another organization's."""
    found = await Folder.find_one({"_id": folder, "organization_id": actor.tenant})
    if found is None:
        raise FolderNotFound()
    return folder_view(found)
