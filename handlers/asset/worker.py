"""Asset's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from bus.handling import Handler
from contracts.asset.commands import (
    AddVersion,
    DeleteAsset,
    DetachProject,
    EmptyTrash,
    ProcessAsset,
    PurgeAsset,
    PurgeAssets,
    PurgeDue,
    PurgeTrash,
    RegisterAsset,
    RemoveVersion,
    RestoreAsset,
    RestoreVersion,
    SweepBlob,
    TellRights,
    UpdateAsset,
)
from contracts.base import Command, Event
from contracts.corp.events import (
    BrandDeleted,
    BrandKitUpdated,
    BrandUpdated,
    OrganizationDeleted,
    ProjectDeleted,
)
from handlers.asset import handlers, reactions
from handlers.asset.clocks import clocks_of
from handlers.asset.handlers import Blobs, Processing, RightsTeller, Trash, Versions
from handlers.asset.queries import use_signer
from handlers.domain import Context, Domain
from infra.images import ImagePipeline
from infra.object_store import ObjectStore, open_store
from infra.secrets import file_signer
from infra.settings.assets import LibrarySettings

REACTIONS: dict[type[Event], Handler] = {
    ProjectDeleted: reactions.detach_the_assets,
    OrganizationDeleted: reactions.purge_the_assets,
    BrandKitUpdated: reactions.note_what_a_kit_uses,
    BrandUpdated: reactions.rename_the_kit,
    BrandDeleted: reactions.note_that_a_kit_is_gone,
}


def commands_of(
    store: ObjectStore, images: ImagePipeline, library: LibrarySettings
) -> dict[type[Command], Handler]:
    """Command → handler."""
    versions, trash = Versions(library.versions), Trash(library.trash_days)
    processing, blobs = Processing(store, images, versions), Blobs(store)
    rights = RightsTeller(timedelta(days=library.rights_notice))
    return {
        RegisterAsset: handlers.register_asset,
        ProcessAsset: processing.process_asset,
        SweepBlob: blobs.sweep_blob,
        UpdateAsset: handlers.update_asset,
        DetachProject: handlers.detach_project,
        PurgeAssets: handlers.purge_assets,
        AddVersion: versions.add_version,
        RestoreVersion: versions.restore_version,
        RemoveVersion: versions.remove_version,
        DeleteAsset: trash.delete_asset,
        RestoreAsset: handlers.restore_asset,
        PurgeAsset: handlers.purge_asset,
        EmptyTrash: handlers.empty_trash,
        PurgeTrash: handlers.purge_trash,
        PurgeDue: handlers.purge_due,
        TellRights: rights.tell_rights,
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
            clocks=clocks_of(settings.library),
        )
    finally:
        await images.close()
        await store.close()
