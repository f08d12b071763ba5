"""Originals and renditions: a local folder or an S3 bucket behind one interface."""

from __future__ import annotations

from infra.breaker import Breakers
from infra.object_store.base import (
    READ_BYTES,
    ObjectNotFound,
    ObjectStat,
    ObjectStore,
    ObjectTooLarge,
    StoreFull,
    Written,
)
from infra.object_store.direct import DirectUploads, Multipart, Part, Target
from infra.object_store.local import LocalStore
from infra.object_store.staging import Appending, Staged, Staging, StagingBusy
from infra.settings import StoreSettings


def open_store(settings: StoreSettings, breakers: Breakers, *, free_disk: int = 0) -> ObjectStore:
    """The store the settings name, not started. ``free_disk`` is bytes a local store keeps free."""
    if settings.backend == "local":
        return LocalStore(settings.folder, free_disk=free_disk)
    # Imported here: botocore takes half a second that a local store does not need.
    from infra.object_store.s3 import S3Store

    return S3Store(settings, breakers)


__all__ = [
    "READ_BYTES",
    "Appending",
    "DirectUploads",
    "Multipart",
    "ObjectNotFound",
    "ObjectStat",
    "ObjectStore",
    "ObjectTooLarge",
    "Part",
    "Staged",
    "Staging",
    "StagingBusy",
    "StoreFull",
    "Target",
    "Written",
    "open_store",
]
