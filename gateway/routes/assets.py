"""Routes of the library: its assets, folders and tags."""

from __future__ import annotations

from collections.abc import Sequence

from bus.paging import Page
from contracts.actor import Actor
from contracts.asset.commands import (
    ChangeAssets,
    CreateFolder,
    DeleteAsset,
    DeleteFolder,
    RenameTag,
    UpdateAsset,
    UpdateFolder,
)
from contracts.asset.views import AssetView, BulkView, FolderView, RetagView, TagPage
from contracts.permissions import Permission
from gateway.table import Route, command, query
from handlers.asset.queries import (
    find_asset_in_folder,
    find_asset_with_tag,
    get_asset,
    get_folder,
    list_assets,
    list_folders,
    list_tags,
)
from handlers.corp.queries import get_open_project

ORG = "/v1/orgs/{org}"
ASSET = ORG + "/assets/{asset}"
FOLDER = ORG + "/folders/{folder}"

_PLACES = {"project_id": get_open_project, "folder_id": get_folder}


def _for_each(changes: ChangeAssets) -> Permission:
    deletes = changes.operation == "delete"
    return Permission.ASSET_DELETE if deletes else Permission.ASSET_WRITE


async def _deletes(actor: Actor, deletes: DeleteFolder, projects: Sequence[str]) -> str | None:
    if not deletes.recursive:
        return None
    return await find_asset_in_folder(actor, deletes.folder, projects)


async def _retags(actor: Actor, renames: RenameTag, projects: Sequence[str]) -> str | None:
    return await find_asset_with_tag(actor, renames.tag, projects)


_LIBRARY: list[Route] = [
    query(ORG + "/assets", list_assets, allow=Permission.ASSET_READ, answers=Page[AssetView]),
    query(ASSET, get_asset, allow=Permission.ASSET_READ, answers=AssetView, revised=False),
    command(
        "PATCH",
        ASSET,
        UpdateAsset,
        allow=Permission.ASSET_WRITE,
        answers=AssetView,
        references=_PLACES,
    ),
    command("DELETE", ASSET, DeleteAsset, allow=Permission.ASSET_DELETE),
    # What may be done differs from asset to asset, and is told for each.
    command(
        "POST",
        ORG + "/assets/bulk",
        ChangeAssets,
        allow=Permission.ASSET_WRITE,
        answers=BulkView,
        references=_PLACES,
        needs=_for_each,
    ),
    query(ORG + "/tags", list_tags, allow=Permission.ASSET_READ, answers=TagPage),
    command(
        "POST",
        ORG + "/tags/rename",
        RenameTag,
        allow=Permission.ASSET_WRITE,
        answers=RetagView,
        reaches=_retags,
    ),
]

# Folders are the organization's: who has a role in a brand alone puts its assets into them.
_FOLDERS: list[Route] = [
    query(ORG + "/folders", list_folders, allow=Permission.ASSET_READ, answers=Page[FolderView]),
    command(
        "POST",
        ORG + "/folders",
        CreateFolder,
        allow=Permission.ASSET_WRITE,
        answers=FolderView,
        location=ORG + "/folders/{id}",
        references={"parent_id": get_folder},
    ),
    query(FOLDER, get_folder, allow=Permission.ASSET_READ, answers=FolderView),
    command(
        "PATCH",
        FOLDER,
        UpdateFolder,
        allow=Permission.ASSET_WRITE,
        answers=FolderView,
        references={"parent_id": get_folder},
    ),
    command("DELETE", FOLDER, DeleteFolder, allow=Permission.ASSET_DELETE, reaches=_deletes),
]

ASSETS: list[Route] = [*_LIBRARY, *_FOLDERS]
