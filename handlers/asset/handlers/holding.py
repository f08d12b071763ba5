"""Seeing that where something is put stays there until it is written."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.asset.errors import FolderNotFound
from handlers.asset.documents import Asset, Folder
from handlers.asset.trees import path_to


async def hold_folder(folder: str | None, uow: UnitOfWork) -> None:
    """See that a folder is there, and stays until what is put into it is written.

    Raises FolderNotFound, also for one that lies in a folder that is gone: it goes too.
    """
    if folder is None:
        return
    above = await path_to(uow.org, folder)
    if not above or above[-1].parent_id is not None:
        raise FolderNotFound()
    uow.hold_id(Folder, folder)


async def hold_place(asset: Asset, uow: UnitOfWork) -> None:
    """The same for an asset that comes back to where it was: to no folder where that is gone."""
    try:
        await hold_folder(asset.folder_id, uow)
    except FolderNotFound:
        asset.folder_id = None
