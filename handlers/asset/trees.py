"""Folders within folders: what lies in one, and in what it lies."""

from __future__ import annotations

from typing import Any

from handlers.asset.documents import Folder

DEPTH = 20
"""Folders that lie within one another."""


async def levels_below(organization: str, folder: str) -> list[list[str]]:
    """The ids of a folder and of what lies in it, by depth; empty where there is no such folder.

    One read for each level. What was moved and added to at the same time may be a little deeper
    than it may.
    """
    collection = Folder.get_pymongo_collection()
    wanted: dict[str, Any] = {"organization_id": organization, "_id": folder}
    found: list[list[str]] = []
    while len(found) < 2 * DEPTH:
        level = [each["_id"] async for each in collection.find(wanted, {"_id": 1})]
        if not level:
            break
        found.append(level)
        wanted = {"organization_id": organization, "parent_id": {"$in": level}}
    return found


async def ids_below(organization: str, folder: str) -> list[str]:
    """The same in one list."""
    return [each for level in await levels_below(organization, folder) for each in level]


async def path_to(organization: str, folder: str) -> list[Folder]:
    """A folder and all that it lies in, from the inside out; the outermost has no parent.

    Shorter where one of them is gone: its contents are about to go too.
    """
    found: list[Folder] = []
    above: str | None = folder
    while above is not None and len(found) < 2 * DEPTH:
        one = await Folder.find_one({"_id": above, "organization_id": organization})
        if one is None:
            break
        found.append(one)
        above = one.parent_id
    return found
