"""Uploads that can be gone on with: found, written to, completed, removed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.asset.errors import (
    StorageFull,
    UploadExpired,
    UploadLocked,
    UploadNotFound,
    UploadOffsetWrong,
    UploadsTooMany,
    UploadTooLarge,
)
from contracts.errors import DomainError
from contracts.types import now
from gateway.errors import DependencyDown
from handlers.asset.rules import blob_key
from infra.breaker import DependencyUnavailable
from infra.leases import Lease, LeaseTaken
from infra.media import sniff
from infra.object_store import (
    ObjectNotFound,
    ObjectStore,
    Staged,
    StagingBusy,
    StoreFull,
)
from infra.settings import Settings
from infra.staged_uploads import Finished, Note, StagedUploads, blob_of

PATIENCE = 3.0
"""Seconds a request waits for another that writes to the same upload, and may be over."""
_DIGESTS = 10_000


@dataclass(frozen=True, slots=True)
class Upload:
    """One as it was found."""

    org: str
    id: str
    staged: Staged
    note: Note

    @property
    def offset(self) -> int:
        return self.staged.offset

    @property
    def whole(self) -> bool:
        """Whether every byte has arrived."""
        return self.staged.completed or self.offset == self.note.length

    def media_type(self, head: bytes) -> str:
        """What the first bytes say it is."""
        return sniff(head, self.note.filename).media_type


@dataclass(slots=True)
class _Digest:
    """The SHA-256 of an upload all of whose bytes this process has seen."""

    running: Any
    seen: int = 0

    def update(self, chunk: bytes | memoryview) -> None:
        self.running.update(chunk)
        self.seen += len(chunk)


class Resumables:
    """Uploads in pieces of all organizations, as one gateway sees them."""

    def __init__(self, store: ObjectStore, redis: Redis, settings: Settings) -> None:
        self.store = store
        self.staging = store.staging()
        self.uploads = StagedUploads(
            redis, expire=settings.uploads.expire, most=settings.uploads.open
        )
        self.limit = settings.assets.upload_limit
        self._digests: OrderedDict[str, _Digest] = OrderedDict()

    async def create(self, org: str, id: str, note: Note) -> Upload:
        """Begin one. Raises UploadsTooMany, StorageFull or DependencyDown."""
        if not await self.uploads.admit(org, id):
            raise UploadsTooMany(
                f"At most {self.uploads.most} uploads may be incomplete at the same time: "
                "complete or delete some, or wait until they expire.",
                retry_after=60,
            )
        key = blob_key(org, blob_of(id))
        limit = self.limit if note.length is None else note.length
        try:
            with storing():
                await self.staging.create(org, id, key, note.model_dump(mode="json"), limit=limit)
        except BaseException:
            await self.uploads.close(org, id)
            raise
        return Upload(org, id, Staged(key, 0, now(), False), note)

    async def find(self, org: str, id: str) -> Upload:
        """Raises UploadNotFound, UploadExpired or DependencyDown."""
        try:
            with storing():
                staged = await self.staging.look(org, id)
        except ObjectNotFound as error:
            raise UploadNotFound() from error
        if self.uploads.expires(staged) <= now():
            raise UploadExpired()
        return Upload(org, id, staged, Note.model_validate(staged.note))

    async def find_finished(self, org: str, id: str) -> Finished | None:
        """What an upload has become, as long as that is known."""
        return await self.uploads.find_finished(org, id)

    @asynccontextmanager
    async def locked(self, org: str, id: str, patience: float = PATIENCE) -> AsyncIterator[Lease]:
        """The right to write to an upload. Raises UploadLocked."""
        try:
            async with self.uploads.locked(org, id, patience=patience) as lease:
                yield lease
        except LeaseTaken as error:
            raise UploadLocked() from error

    async def write(self, upload: Upload, chunks: AsyncIterator[bytes], lease: Lease) -> int:
        """Add the bytes at the upload's offset; the offset after them.

        Whatever ends it, what has come is kept. Raises UploadTooLarge, UploadLocked when
        another may write now, UploadOffsetWrong, StorageFull, DependencyDown, and what
        ``chunks`` raises.
        """
        limit = self.limit if upload.note.length is None else upload.note.length
        digest = self._digests.pop(upload.id, None)
        if upload.offset == 0:
            digest = _Digest(hashlib.sha256())
        elif digest is not None and digest.seen != upload.offset:
            digest = None
        try:
            with storing():
                async with self.staging.append(
                    upload.org,
                    upload.id,
                    media_type=upload.media_type,
                    seen=_unseen if digest is None else digest.update,
                ) as appending:
                    if appending.offset != upload.offset:
                        raise UploadOffsetWrong(f"The offset is {appending.offset}.")
                    async for chunk in chunks:
                        if not lease.held:
                            raise UploadLocked()
                        if appending.offset + len(chunk) > limit:
                            raise too_large(limit, upload.note.length)
                        await appending.add(chunk)
                    offset = appending.offset
        except ObjectNotFound as error:
            raise UploadNotFound() from error
        finally:
            if digest is not None:
                self._digests[upload.id] = digest
                while len(self._digests) > _DIGESTS:
                    self._digests.popitem(last=False)
        return offset

    async def note(self, upload: Upload, note: Note) -> Upload:
        """Note something else of it; the upload as it is then."""
        with storing():
            await self.staging.note(upload.org, upload.id, note.model_dump(mode="json"))
        return Upload(upload.org, upload.id, upload.staged, note)

    async def assemble(self, upload: Upload) -> str:
        """Put the bytes where a blob's lie; their SHA-256."""
        with storing():
            await self.staging.complete(upload.org, upload.id, media_type=upload.media_type)
            digest = self._digests.get(upload.id)
            if digest is not None and digest.seen == upload.offset:
                found: str = digest.running.hexdigest()
                return found
            return await self._reread(upload.staged.key)

    async def head(self, upload: Upload, size: int) -> bytes:
        """The first bytes of one that has been assembled. Raises ObjectNotFound."""
        with storing():
            async with self.store.read(upload.staged.key, 0, size) as chunks:
                return b"".join([chunk async for chunk in chunks])

    async def _reread(self, key: str) -> str:
        path = self.store.local_path(key)
        if path is not None:

            def read() -> str:
                with path.open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest()

            return await asyncio.to_thread(read)
        running = hashlib.sha256()
        async with self.store.read(key) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(running.update, chunk)
        return running.hexdigest()

    async def discard(self, upload: Upload) -> None:
        """Remove all of it, where no command names its bytes."""
        if upload.staged.completed:
            with storing():
                await self.store.delete([upload.staged.key])
        await self.remove(upload.org, upload.id)

    async def discard_unsent(self, org: str, id: str) -> bool:
        """The same where it can be done now; else it goes when it expires."""
        with contextlib.suppress(DomainError, RedisError, OSError):
            upload = await self.find(org, id)
            if upload.note.registering is None:
                await self.discard(upload)
                return True
        return False

    async def finish(self, upload: Upload, finished: Finished) -> None:
        """The asset is there: remember which, and forget the rest."""
        await self.uploads.finish(upload.org, upload.id, finished)
        await self.remove(upload.org, upload.id)

    async def remove(self, org: str, id: str) -> None:
        """Forget it, and its bytes unless they have been assembled."""
        self._digests.pop(id, None)
        with storing():
            await self.staging.remove(org, id)
        await self.uploads.close(org, id)


def too_large(limit: int, length: int | None) -> UploadTooLarge:
    """What is said where there are more bytes than the upload may have."""
    if length is None:
        return UploadTooLarge(f"At most {limit} bytes are taken.")
    return UploadTooLarge(f"The upload has {length} bytes, and these would be more.")


def _unseen(_: bytes | memoryview) -> None:
    """The beginning was not seen, so that the rest tells nothing."""


@contextmanager
def storing() -> Iterator[None]:
    """What the store cannot do now, as a problem."""
    try:
        yield
    except StoreFull as error:
        raise StorageFull(retry_after=60) from error
    except StagingBusy as error:
        raise UploadLocked() from error
    except DependencyUnavailable as error:
        raise DependencyDown(
            "The object store is not available.", retry_after=error.retry_after
        ) from error
