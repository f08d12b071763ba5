"""Asset's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from bus.documents import INBOX_DAYS
from bus.handling import Handler
from contracts.asset.commands import (
    AbortUpload,
    ClearUpload,
    CompleteUpload,
    DeleteAsset,
    DetachProject,
    ExpireUpload,
    PresignUpload,
    ProcessAsset,
    PurgeAssets,
    RegisterAsset,
    SweepBlob,
    SweepParts,
    SweepStore,
    UpdateAsset,
)
from contracts.base import Command, Event
from contracts.corp.events import OrganizationDeleted, ProjectDeleted
from handlers.asset import handlers, reactions
from handlers.asset.handlers import Blobs, Leftovers, Presigned, Processing
from handlers.asset.queries import use_signer
from handlers.asset.rules import presigned_grace
from handlers.clocks import Clock
from handlers.domain import Context, Domain
from infra.images import ImagePipeline
from infra.object_store import ObjectStore, open_store
from infra.quota_ledger import Ledger
from infra.secrets import file_signer

REACTIONS: dict[type[Event], Handler] = {
    ProjectDeleted: reactions.detach_the_assets,
    OrganizationDeleted: reactions.purge_the_assets,
}


def commands_of(store: ObjectStore, images: ImagePipeline) -> dict[type[Command], Handler]:
    """Command → handler."""
    processing, blobs = Processing(store, images), Blobs(store)
    return {
        RegisterAsset: handlers.register_asset,
        ProcessAsset: processing.process_asset,
        SweepBlob: blobs.sweep_blob,
        UpdateAsset: handlers.update_asset,
        DeleteAsset: handlers.delete_asset,
        DetachProject: handlers.detach_project,
        PurgeAssets: handlers.purge_assets,
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


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Asset needs the object store, processes that render, and the signer of its URLs."""
    settings = context.settings
    store = open_store(settings.store, context.breakers, free_disk=settings.assets.free_disk)
    images = ImagePipeline(settings.assets)
    ledger = Ledger(context.redis) if settings.uploads.quota else None
    presigned = Presigned(store, ledger, grace=presigned_grace(settings.uploads.expire))
    expire = settings.uploads.expire
    leftovers = Leftovers(
        store,
        context.redis,
        orphaned=timedelta(seconds=max(settings.uploads.orphan_age, expire + INBOX_DAYS * 86400)),
        abandoned=timedelta(seconds=expire, days=1),
    )
    use_signer(file_signer(settings))
    await store.start()
    await images.start()
    try:
        yield Domain(
            "asset",
            commands={
                **commands_of(store, images),
                **presigned_commands(presigned),
                **leftover_commands(leftovers),
            },
            reactions=REACTIONS,
            checks={"object_store": store.check},
            clocks=(
                Clock(
                    "asset.presigned",
                    every=min(60.0, settings.uploads.expire / 4),
                    due=presigned.due,
                ),
                Clock("asset.leftovers", every=settings.uploads.sweep_every, due=leftovers.due),
            ),
        )
    finally:
        await images.close()
        await store.close()
