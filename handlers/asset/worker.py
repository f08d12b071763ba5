"""Asset's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.handling import Handler
from contracts.asset.commands import (
    ChangeAssets,
    CreateFolder,
    DeleteAsset,
    DeleteFolder,
    DetachProject,
    EmptyFolder,
    ProcessAsset,
    PurgeAssets,
    RegisterAsset,
    RenameTag,
    RetagAssets,
    SweepBlob,
    UpdateAsset,
    UpdateFolder,
)
from contracts.base import Command, Event
from contracts.corp.events import OrganizationDeleted, ProjectDeleted
from handlers.asset import handlers, reactions
from handlers.asset.handlers import Blobs, Folders, Processing
from handlers.asset.queries import use_signer
from handlers.domain import Context, Domain
from infra.images import ImagePipeline
from infra.object_store import ObjectStore, open_store
from infra.secrets import file_signer
from infra.settings.assets import LibrarySettings

REACTIONS: dict[type[Event], Handler] = {
    ProjectDeleted: reactions.detach_the_assets,
    OrganizationDeleted: reactions.purge_the_assets,
}


def commands_of(
    store: ObjectStore, images: ImagePipeline, library: LibrarySettings
) -> dict[type[Command], Handler]:
    """Command → handler."""
    processing, blobs = Processing(store, images), Blobs(store)
    folders = Folders(library.folders)
    return {
        RegisterAsset: handlers.register_asset,
        ProcessAsset: processing.process_asset,
        SweepBlob: blobs.sweep_blob,
        UpdateAsset: handlers.update_asset,
        DeleteAsset: handlers.delete_asset,
        ChangeAssets: handlers.change_assets,
        RenameTag: handlers.rename_tag,
        RetagAssets: handlers.retag_assets,
        CreateFolder: folders.create_folder,
        UpdateFolder: handlers.update_folder,
        DeleteFolder: handlers.delete_folder,
        EmptyFolder: handlers.empty_folder,
        DetachProject: handlers.detach_project,
        PurgeAssets: handlers.purge_assets,
    }


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Asset needs the object store, processes that render, and the signer of its URLs."""
    settings = context.settings
    store = open_store(settings.store, context.breakers, free_disk=settings.assets.free_disk)
    images = ImagePipeline(settings.assets)
    use_signer(file_signer(settings))
    await store.start()
    await images.start()
    try:
        yield Domain(
            "asset",
            commands=commands_of(store, images, settings.library),
            reactions=REACTIONS,
            checks={"object_store": store.check},
        )
    finally:
        await images.close()
        await store.close()
