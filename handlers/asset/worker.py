"""Asset's table of contents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any

from redis.asyncio import Redis

from bus.documents import INBOX_DAYS
from bus.handling import Handler
from bus.progress import Progress
from contracts.asset.commands import (
    AbortUpload,
    AddVersion,
    ChangeAssets,
    ClearUpload,
    CompleteUpload,
    CreateFolder,
    DeleteAsset,
    DeleteFolder,
    DetachProject,
    EmptyFolder,
    EmptyTrash,
    ExpireUpload,
    PresignUpload,
    ProcessAsset,
    PurgeAsset,
    PurgeAssets,
    PurgeDue,
    PurgeTrash,
    RegisterAsset,
    RemoveVersion,
    RenameTag,
    RenderTransform,
    RestoreAsset,
    RestoreVersion,
    RetagAssets,
    SweepBlob,
    SweepParts,
    SweepRenditions,
    SweepStore,
    SweepUpload,
    TellRights,
    UpdateAsset,
    UpdateFolder,
)
from contracts.asset.events import AssetUploaded, VersionAdded, VersionRestored
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
from handlers.asset.documents import AssetVersion, Content
from handlers.asset.handlers import (
    Blobs,
    Bulk,
    Folders,
    Inspecting,
    Leftovers,
    Presigned,
    Processing,
    Rebuilding,
    Rendering,
    RightsTeller,
    Transforms,
    Trash,
    Uploads,
    Versions,
)
from handlers.asset.handlers.rendering import Stage, Tell, tell_nobody
from handlers.asset.queries import use_signer
from handlers.asset.rules import PIPELINE, presigned_grace
from handlers.clocks import Clock
from handlers.domain import Context, Domain
from infra.images import ImagePipeline
from infra.inspection import Inspector
from infra.object_store import ObjectStore, open_store
from infra.quota_ledger import Ledger
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


REBUILDS: dict[type[Event], Callable[..., Any]] = {
    AssetUploaded: Rebuilding.rebuild_renditions,
    VersionAdded: Rebuilding.rebuild_renditions,
    VersionRestored: Rebuilding.rebuild_renditions,
}


def rebuilding_of(
    store: ObjectStore,
    images: ImagePipeline,
    settings: AssetSettings,
    *,
    kept: float,
    versions: int,
    tell: Tell = tell_nobody,
) -> Rebuilding:
    """What looks into assets, and does so again; ``kept`` where no setting says.

    ``versions`` is how many an asset has at most; ``tell`` is told how far each picture is.
    """
    rendering = Rendering(store, images, settings.pipeline or PIPELINE, tell)
    inspecting = Inspecting(store, Inspector(settings), settings.inspect_bytes)
    if settings.replaced_kept is not None:
        kept = settings.replaced_kept
    processing = Processing(rendering, inspecting, Versions(versions))
    return Rebuilding(store, processing, kept, settings.image_workers)


def commands_of(
    store: ObjectStore, rebuilding: Rebuilding, uploads: Uploads
) -> dict[type[Command], Handler]:
    """Command → handler."""
    processing, blobs = rebuilding.processing, Blobs(store)
    return {
        RegisterAsset: handlers.register_asset,
        ProcessAsset: processing.process_asset,
        SweepBlob: blobs.sweep_blob,
        SweepRenditions: rebuilding.sweep_renditions,
        SweepUpload: uploads.sweep_upload,
        UpdateAsset: handlers.update_asset,
        DetachProject: handlers.detach_project,
        PurgeAssets: handlers.purge_assets,
    }


def folder_commands(settings: LibrarySettings) -> dict[type[Command], Handler]:
    """Those of folders, and of many assets at once."""
    trash = Trash(settings.trash_days)
    folders, bulk = Folders(settings.folders, trash), Bulk(trash)
    return {
        ChangeAssets: bulk.change_assets,
        RenameTag: handlers.rename_tag,
        RetagAssets: handlers.retag_assets,
        CreateFolder: folders.create_folder,
        UpdateFolder: handlers.update_folder,
        DeleteFolder: handlers.delete_folder,
        EmptyFolder: folders.empty_folder,
    }


def library_commands(versions: Versions, settings: LibrarySettings) -> dict[type[Command], Handler]:
    """Command → handler, of versions, the trash and rights."""
    trash = Trash(settings.trash_days)
    rights = RightsTeller(timedelta(days=settings.rights_notice))
    return {
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


def presigned_commands(presigned: Presigned) -> dict[type[Command], Handler]:
    """Those of uploads straight into the store."""
    return {
        PresignUpload: presigned.presign_upload,
        CompleteUpload: presigned.complete_upload,
        AbortUpload: presigned.abort_upload,
        ExpireUpload: presigned.expire_upload,
        ClearUpload: presigned.clear_upload,
    }


def leftover_commands(leftovers: Leftovers) -> dict[type[Command], Handler]:
    """Those that tidy the store up."""
    return {SweepStore: leftovers.sweep_store, SweepParts: leftovers.sweep_parts}


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


def teller(redis: Redis) -> Tell:
    """Tells an asset's channel how far looking into it is."""

    # It knows what it has told, so as not to tell too often.
    @lru_cache(maxsize=64)
    def progress(asset: str, org: str) -> Progress:
        return Progress(
            redis, work="asset.processing", subject=asset, org=org, channel=f"asset:{asset}"
        )

    async def tell(content: Content, stage: Stage, done: int, total: int) -> None:
        # Also a version that is not shown yet is told of there.
        asset = content.asset_id if isinstance(content, AssetVersion) else content.id
        await progress(asset, content.organization_id).tell(stage, done, total)

    return tell


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Asset needs the object store, processes that render, and the signer of its URLs."""
    settings = context.settings
    store = open_store(settings.store, context.breakers, free_disk=settings.assets.free_disk)
    expire, most = settings.uploads.expire, settings.uploads.open
    presigned = Presigned(
        store,
        Ledger(context.redis) if settings.uploads.quota else None,
        grace=presigned_grace(expire),
        forbidden=tuple(settings.assets.forbidden),
    )
    leftovers = Leftovers(
        store,
        context.redis,
        orphaned=timedelta(seconds=max(settings.uploads.orphan_age, expire + INBOX_DAYS * 86400)),
        abandoned=timedelta(seconds=expire, days=1),
    )
    images, pictures = ImagePipeline(settings.assets), picture_pipeline(settings)
    notes = RenderNotes(context.redis, pause=settings.files.transform_pause)
    transforms = Transforms(store, pictures, notes, kept=settings.files.transforms_kept)
    uploads = Uploads(store, StagedUploads(context.redis, expire=expire, most=most))
    use_signer(file_signer(settings))
    # What a URL may be good for: see FileSigner.url.
    kept, versions = 2 * settings.store.url_ttl, settings.library.versions
    tell = teller(context.redis)
    rebuilding = rebuilding_of(
        store, images, settings.assets, kept=kept, versions=versions, tell=tell
    )
    await store.start()
    await asyncio.gather(images.start(), pictures.start())
    try:
        yield Domain(
            "asset",
            commands={
                **presigned_commands(presigned),
                **leftover_commands(leftovers),
                **folder_commands(settings.library),
                **commands_of(store, rebuilding, uploads),
                **library_commands(rebuilding.processing.versions, settings.library),
                **picture_commands(transforms),
            },
            reactions=REACTIONS,
            rebuilds=dict.fromkeys(REBUILDS, rebuilding.rebuild_renditions),
            checks={"object_store": store.check},
            clocks=(
                Clock("asset.presigned", min(60.0, expire / 4), presigned.due),
                Clock("asset.leftovers", settings.uploads.sweep_every, leftovers.due),
                Clock("asset.uploads", min(300.0, expire / 4), uploads.due),
                *clocks_of(settings.library),
                Clock("asset.renditions", max(1.0, min(60.0, rebuilding.kept)), rebuilding.due),
            ),
        )
    finally:
        await transforms.close()
        await asyncio.gather(images.close(), pictures.close())
        await store.close()
