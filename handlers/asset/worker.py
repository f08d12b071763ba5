"""Asset's table of contents."""

from __future__ import annotations

import asyncio
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
    RenderTransform,
    RestoreAsset,
    RestoreVersion,
    SweepBlob,
    SweepUpload,
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
from handlers.asset.handlers import (
    Blobs,
    Inspecting,
    Processing,
    RightsTeller,
    Transforms,
    Trash,
    Uploads,
    Versions,
)
from handlers.asset.queries import use_signer
from handlers.clocks import Clock
from handlers.domain import Context, Domain
from infra.images import ImagePipeline
from infra.inspection import Inspector
from infra.object_store import ObjectStore, open_store
from infra.render_notes import RenderNotes
from infra.secrets import file_signer
from infra.settings import AssetSettings, Settings
from infra.settings.assets import LibrarySettings
from infra.staged_uploads import StagedUploads

REACTIONS: dict[type[Event], Handler] = {
    ProjectDeleted: reactions.detach_the_assets,
    OrganizationDeleted: reactions.purge_the_assets,
    BrandKitUpdated: reactions.note_what_a_kit_uses,
    BrandUpdated: reactions.rename_the_kit,
    BrandDeleted: reactions.note_that_a_kit_is_gone,
}


def commands_of(
    store: ObjectStore,
    images: ImagePipeline,
    uploads: Uploads,
    settings: AssetSettings,
    library: LibrarySettings,
) -> dict[type[Command], Handler]:
    """Command → handler."""
    inspecting = Inspecting(store, Inspector(settings), settings.inspect_bytes)
    versions, trash = Versions(library.versions), Trash(library.trash_days)
    processing = Processing(store, images, versions, inspecting)
    blobs, rights = Blobs(store), RightsTeller(timedelta(days=library.rights_notice))
    return {
        RegisterAsset: handlers.register_asset,
        ProcessAsset: processing.process_asset,
        SweepBlob: blobs.sweep_blob,
        SweepUpload: uploads.sweep_upload,
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


def picture_commands(transforms: Transforms) -> dict[type[Command], Handler]:
    """Command → handler, of pictures that somebody waits for."""
    return {RenderTransform: transforms.render_transform}


def picture_pipeline(settings: Settings) -> ImagePipeline:
    """Processes of their own for them, so that they wait behind no processing of uploads."""
    files = settings.files
    return ImagePipeline(
        settings.assets.model_copy(
            update={
                "image_workers": files.transform_workers,
                "image_timeout": files.transform_timeout,
            }
        )
    )


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Asset needs the object store, processes that render, and the signer of its URLs."""
    settings = context.settings
    store = open_store(settings.store, context.breakers, free_disk=settings.assets.free_disk)
    images, pictures = ImagePipeline(settings.assets), picture_pipeline(settings)
    notes = RenderNotes(context.redis, pause=settings.files.transform_pause)
    transforms = Transforms(store, pictures, notes, kept=settings.files.transforms_kept)
    expire, most = settings.uploads.expire, settings.uploads.open
    uploads = Uploads(store, StagedUploads(context.redis, expire=expire, most=most))
    use_signer(file_signer(settings))
    await store.start()
    await asyncio.gather(images.start(), pictures.start())
    try:
        yield Domain(
            "asset",
            commands={
                **commands_of(store, images, uploads, settings.assets, settings.library),
                **picture_commands(transforms),
            },
            reactions=REACTIONS,
            checks={"object_store": store.check},
            clocks=(
                Clock("asset.uploads", min(300.0, expire / 4), uploads.due),
                *clocks_of(settings.library),
            ),
        )
    finally:
        await asyncio.gather(images.close(), pictures.close())
        await store.close()
