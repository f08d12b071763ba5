"""What was put straight into the store: made one, read where nobody can change it, compared."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from contracts.asset.commands import RegisterAsset, UploadedPart
from contracts.asset.errors import (
    PresignedIncomplete,
    PresignedMismatch,
    PresignUnavailable,
    TypeForbidden,
)
from contracts.types import new_id
from handlers.asset.documents import PresignedUpload
from handlers.asset.kinds import admit
from handlers.asset.rules import blob_key, clean_name, incoming_key, part_sizes, taken_for
from infra.media import HEAD_BYTES
from infra.object_store import DirectUploads, ObjectNotFound, ObjectStore, ObjectTooLarge, Part

UNKNOWN = "application/octet-stream"
"""The store's own type of bytes nobody has looked into; they are served with what they are."""


async def verified(
    store: ObjectStore,
    upload: PresignedUpload,
    named: tuple[UploadedPart, ...] | None,
    forbidden: Sequence[str],
) -> RegisterAsset | PresignedMismatch | TypeForbidden:
    """The command that registers the bytes, which lie in their place then and are whole.

    Or why there will be none; then they are gone. Raises PresignedIncomplete while there are
    not all of them.
    """
    org, blob = upload.organization_id, upload.blob_id
    try:
        if upload.multipart_id is not None:
            await _assemble(store, upload, upload.multipart_id, blob_key(org, blob), named)
            looked = await _read(store, blob_key(org, blob))
        else:
            # Its URL is still good: of two attempts at once each keeps what it has read.
            blob = new_id("blb")
            looked = await _take(store, blob_key(org, blob), upload)
    except ObjectNotFound:
        raise PresignedIncomplete("No bytes have been put there yet.") from None
    refusal: PresignedMismatch | TypeForbidden | None = _refusal(upload, looked)
    if refusal is None:
        try:
            found = admit(looked.head, upload.filename, forbidden=forbidden)
        except TypeForbidden as error:
            refusal = error
    if refusal is not None:
        await store.delete([blob_key(org, blob)])
        return refusal
    return RegisterAsset(
        blob_id=blob,
        name=clean_name(upload.filename),
        media_type=found.media_type,
        kind=taken_for(found.kind, upload.media_type, upload.filename),
        bytes=looked.bytes,
        sha256=looked.sha256,
        project_id=upload.project_id,
        folder_id=upload.folder_id,
        tags=tuple(upload.tags),
    )


async def _assemble(
    store: ObjectStore,
    upload: PresignedUpload,
    id: str,
    key: str,
    named: tuple[UploadedPart, ...] | None,
) -> None:
    """Make one object of the parts. Raises PresignedIncomplete while that cannot be."""
    try:
        arrived = await direct_of(store).parts(key, id)
    except ObjectNotFound:
        return  # an attempt before this one has done it
    _check_parts(arrived, part_sizes(upload.bytes, upload.part_bytes), named)
    try:
        await direct_of(store).assemble(key, id, arrived)
    except ObjectNotFound:
        return


async def _take(store: ObjectStore, key: str, upload: PresignedUpload) -> Looked:
    """Copy what has come in to where it stays, looking at what is copied."""
    came = incoming_key(upload.organization_id, upload.id)
    looked = Looked()
    async with store.read(came) as chunks:
        with suppress(ObjectTooLarge):
            await store.write(key, looked.through(chunks), media_type=UNKNOWN, limit=upload.bytes)
    return looked


async def _read(store: ObjectStore, key: str) -> Looked:
    looked = Looked()
    async with store.read(key) as chunks:
        async for _ in looked.through(chunks):
            pass
    return looked


class Looked:
    """What bytes are, found out while they pass."""

    def __init__(self) -> None:
        self.bytes = 0
        self.head = b""
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    async def through(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks."""
        async for chunk in chunks:
            self.bytes += len(chunk)
            if len(self.head) < HEAD_BYTES:
                self.head += chunk[: HEAD_BYTES - len(self.head)]
            await asyncio.to_thread(self._digest.update, chunk)
            yield chunk


def _refusal(upload: PresignedUpload, looked: Looked) -> PresignedMismatch | None:
    """Why what has come is not what was announced."""
    if looked.bytes > upload.bytes:
        return PresignedMismatch(f"{upload.bytes} bytes were announced, and more were uploaded.")
    if looked.bytes < upload.bytes:
        return PresignedMismatch(
            f"{upload.bytes} bytes were announced, and {looked.bytes} were uploaded."
        )
    if upload.sha256 not in (None, looked.sha256):
        return PresignedMismatch(
            f"The SHA-256 {upload.sha256} was announced; that of the bytes is {looked.sha256}."
        )
    return None


def _check_parts(
    arrived: Sequence[Part], sizes: Sequence[int], named: tuple[UploadedPart, ...] | None
) -> None:
    """Raise PresignedIncomplete unless every part has come, as large as it was signed for."""
    by_number = {part.number: part for part in arrived}
    for number, size in enumerate(sizes, 1):
        part = by_number.get(number)
        if part is None:
            raise PresignedIncomplete(f"Part {number} of {len(sizes)} has not arrived.")
        if part.bytes != size:
            raise PresignedIncomplete(
                f"Part {number} has {part.bytes} bytes and should have {size}."
            )
    if len(by_number) > len(sizes):
        raise PresignedIncomplete(f"There are more than {len(sizes)} parts.")
    if named is None:
        return
    if [part.number for part in named] != list(range(1, len(sizes) + 1)):
        raise PresignedIncomplete(f"Name the parts 1 to {len(sizes)}, each once and in order.")
    for one in named:
        if one.etag.strip('"') != by_number[one.number].etag:
            raise PresignedIncomplete(f"Part {one.number} has arrived with another ETag.")


def direct_of(store: ObjectStore) -> DirectUploads:
    """What takes such uploads. Raises PresignUnavailable where nothing does."""
    direct = store.direct()
    if direct is None:
        raise PresignUnavailable()
    return direct
