"""Folders: one function or method per command."""

from __future__ import annotations

from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.asset.commands import CreateFolder, DeleteFolder, EmptyFolder, UpdateFolder
from contracts.asset.errors import (
    FolderNameTaken,
    FolderNotEmpty,
    FolderNotFound,
    FolderTooDeep,
    FolderWithinItself,
    TooManyFolders,
)
from contracts.asset.events import FolderCreated, FolderDeleted, FolderUpdated
from contracts.asset.views import FolderView
from contracts.errors import DomainError
from handlers.asset.documents import Asset, Folder
from handlers.asset.handlers.library import AT_ONCE, Removal, updated
from handlers.asset.queries import folder_view
from handlers.asset.trees import DEPTH, levels_below, path_to
from handlers.asset.words import folder_key


@dataclass(frozen=True, slots=True)
class Folders:
    """The handlers, with what they need to know."""

    limit: int
    """Folders an organization may have: nearly, as those made at the same time do not count."""

    async def create_folder(self, command: CreateFolder, uow: UnitOfWork) -> FolderView:
        count = Folder.get_pymongo_collection().count_documents
        if await count({"organization_id": uow.org}, limit=self.limit) >= self.limit:
            raise TooManyFolders(f"There may be {self.limit}.")
        above = await _place(command.parent_id, uow)
        if len(above) >= DEPTH:
            raise FolderTooDeep()
        if uow.rerun:  # the unique index has found something, perhaps
            await _check_name(command.name, command.parent_id, uow)
        folder = Folder(
            id=uow.new_id("fld"),
            organization_id=uow.org,
            name=command.name,
            parent_id=command.parent_id,
        )
        uow.add(folder)
        uow.emit(
            FolderCreated(folder_id=folder.id, name=folder.name, parent_id=folder.parent_id),
            folder,
        )
        return folder_view(folder)


async def update_folder(command: UpdateFolder, uow: UnitOfWork) -> FolderView:
    folder = await _folder(command.folder, uow)
    check_revision(folder, command.if_revision)
    was = folder.parent_id, folder.key
    if "parent_id" in command.model_fields_set and command.parent_id != folder.parent_id:
        above = await _place(command.parent_id, uow, moved=folder)
        if len(above) + len(await levels_below(uow.org, folder.id)) > DEPTH:
            raise FolderTooDeep()
        folder.parent_id = command.parent_id
    if command.name is not None:
        folder.name = command.name
    if was != (folder.parent_id, folder.key):
        await _check_name(folder.name, folder.parent_id, uow, but=folder.id)
    uow.save(folder)
    uow.emit(
        FolderUpdated(folder_id=folder.id, name=folder.name, parent_id=folder.parent_id), folder
    )
    return folder_view(folder)


async def delete_folder(command: DeleteFolder, uow: UnitOfWork) -> None:
    folder = await _folder(command.folder, uow)
    check_revision(folder, command.if_revision)
    if not command.recursive:
        for holds, field in ((Folder, "parent_id"), (Asset, "folder_id")):
            wanted = {"organization_id": uow.org, field: folder.id}
            if await holds.find_one(wanted) is not None:
                raise FolderNotEmpty()
    _remove_folder(folder, uow)


async def empty_folder(command: EmptyFolder, uow: UnitOfWork) -> None:
    """Its folders first, each of which is then emptied itself; then its assets.

    Nothing is added meanwhile: whoever puts something into a folder holds it.
    """
    wanted = {"organization_id": uow.org, "parent_id": command.folder_id}
    folders = await Folder.find(wanted).limit(AT_ONCE).to_list()
    for folder in folders:
        _remove_folder(folder, uow)
    within = {"organization_id": uow.org, "folder_id": command.folder_id}
    assets = await Asset.find(within).limit(AT_ONCE).to_list()
    removal = Removal(uow)
    for asset in assets:
        asset.folder_id = None
        try:
            await removal.discard(asset)
        except DomainError:
            # It may not be removed now: it stays, and is in no folder.
            uow.save(asset)
            uow.emit(updated(asset), asset)
    await removal.settle()
    if folders or assets:
        uow.send(command)


async def _folder(folder: str, uow: UnitOfWork) -> Folder:
    found = await Folder.find_one({"_id": folder, "organization_id": uow.org})
    if found is None:
        raise FolderNotFound()
    return found


async def _place(parent: str | None, uow: UnitOfWork, moved: Folder | None = None) -> list[Folder]:
    """All that a folder in ``parent`` lies in, from the inside out; held as it was read.

    So that of two moves that would together make a circle, or a tree that is too deep, one
    meets the other. Raises FolderNotFound, FolderWithinItself.
    """
    if parent is None:
        return []
    above = await path_to(uow.org, parent)
    if moved is not None and any(each.id == moved.id for each in above):
        raise FolderWithinItself()
    if not above or above[-1].parent_id is not None:
        raise FolderNotFound()
    for each in above:
        uow.hold(each)
    return above


async def _check_name(name: str, parent: str | None, uow: UnitOfWork, *, but: str = "") -> None:
    place = {"organization_id": uow.org, "parent_id": parent, "key": folder_key(name)}
    if await Folder.find_one({**place, "_id": {"$ne": but}}) is not None:
        raise FolderNameTaken()


def _remove_folder(folder: Folder, uow: UnitOfWork) -> None:
    uow.remove(folder)
    uow.emit(FolderDeleted(folder_id=folder.id), folder)
    uow.send(EmptyFolder(folder_id=folder.id))
