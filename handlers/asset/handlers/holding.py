"""Seeing that where something is put stays there until it is written."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.asset.errors import FolderNotFound
from handlers.asset.documents import Folder


async def hold_folder(folder: str | None, uow: UnitOfWork) -> None:
    """See that a folder is there, and stays until what is put into it is written.

    Raises FolderNotFound.
    """
    if folder is None:
        return
    wanted = {"_id": folder, "organization_id": uow.org}
    if await Folder.find_one(wanted) is None:
        raise FolderNotFound()
    uow.hold_id(Folder, folder)
