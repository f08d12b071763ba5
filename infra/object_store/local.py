"""Objects in a folder: for development, and for a deployment of one machine."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import itertools
import os
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from infra.object_store.base import (
    ObjectNotFound,
    ObjectStat,
    ObjectTooLarge,
    StoreFull,
    Written,
    checked_key,
    checked_prefix,
    checked_range,
)
from infra.object_store.folders import LastingFolders, sync_folder
from infra.object_store.local_files import (
    FOLDER_MARK,
    Incoming,
    file_stat,
    in_thread,
    read_chunks,
    walk_files,
)
from infra.object_store.staged_local import LocalStaging

_INCOMING = ".incoming"
_BATCH_BYTES = 1024 * 1024
_STALE_SECONDS = 60.0
_PLENTY = 4 * 1024**3
_PLENTY_FOR = 0.2
"""Bytes beyond what must stay free, and seconds for which nobody looks again where so many were:
more than any disk takes in that time."""


class LocalStore:
    """One file per object. A folder of keys ends in ``+``, which no key contains, so that
    ``a`` and ``a/b`` can both be objects, as in S3."""

    def __init__(self, folder: Path, *, free_disk: int = 0) -> None:
        self._folder = folder.absolute()
        self._root = str(self._folder)
        self._incoming_folder = self._folder / _INCOMING
        # No other store has this beginning, and this one counts.
        self._aside = f"{self._incoming_folder}/{secrets.token_hex(8)}"
        self._numbers = itertools.count()
        self._free_disk = free_disk
        self._roomy_until = 0.0
        self._folders = LastingFolders()

    async def start(self) -> None:
        await asyncio.to_thread(self._prepare)

    async def close(self) -> None:
        self._folders.close()

    async def write(
        self, key: str, chunks: AsyncIterator[bytes], *, media_type: str, limit: int
    ) -> Written:
        target, incoming = self._place(key), self._incoming()
        batch: list[bytes] = []
        waiting = total = 0
        try:
            async for chunk in chunks:
                batch.append(chunk)
                waiting += len(chunk)
                total += len(chunk)
                if total > limit:
                    raise ObjectTooLarge(limit)
                if waiting >= _BATCH_BYTES:
                    await in_thread(incoming.add, batch)
                    batch, waiting = [], 0
            await in_thread(incoming.finish, batch, target, self._root)
        except BaseException:
            await in_thread(incoming.discard)
            raise
        return Written(total, incoming.digest.hexdigest())

    async def write_file(self, key: str, path: Path, *, media_type: str) -> None:
        target, incoming = self._place(key), self._incoming()
        try:
            await in_thread(incoming.open)
            await in_thread(incoming.copy, path)
            await in_thread(incoming.commit, target, self._root)
        finally:
            await in_thread(incoming.discard)

    @asynccontextmanager
    async def read(
        self, key: str, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        checked_range(start, end)
        file = await asyncio.to_thread(self._open, key)
        try:
            async with aclosing(read_chunks(file, start, end)) as chunks:
                yield chunks
        finally:
            await asyncio.to_thread(file.close)

    async def fetch(self, key: str, path: Path) -> None:
        def copy() -> None:
            with self._open(key) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, _BATCH_BYTES)

        try:
            await in_thread(copy)
        except BaseException:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            raise

    async def stat(self, key: str) -> ObjectStat:
        path = self._target(key)
        try:
            return file_stat(key, await asyncio.to_thread(path.stat))
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectNotFound(key) from None

    async def delete(self, keys: Sequence[str]) -> None:
        await asyncio.to_thread(self._delete, [self._target(key) for key in keys])

    async def list(self, prefix: str, *, after: str = "") -> AsyncIterator[ObjectStat]:
        found = self._walk(checked_prefix(prefix), after)
        while page := await asyncio.to_thread(lambda: list(itertools.islice(found, 1000))):
            for stat in page:
                yield stat

    async def check(self) -> None:
        await asyncio.to_thread(self._check)

    def local_path(self, key: str) -> Path | None:
        return self._target(key)

    def direct(self) -> None:
        return None

    def staging(self) -> LocalStaging:
        return LocalStaging(self._folder, self._target, self._require_room, self._folders)

    def _require_room(self) -> None:
        """Raises StoreFull when less than ``free_disk`` bytes are free."""
        now = time.monotonic()
        if now < self._roomy_until:
            return
        free = shutil.disk_usage(self._folder).free
        if free < self._free_disk:
            raise StoreFull(f"less than {self._free_disk} bytes are free")
        if free - self._free_disk > _PLENTY:
            self._roomy_until = now + _PLENTY_FOR

    def _incoming(self) -> Incoming:
        path = f"{self._aside}-{next(self._numbers)}"
        return Incoming(path, self._require_room, self._folders)

    def _place(self, key: str) -> str:
        *folders, name = checked_key(key).split("/")
        return "/".join([self._root, *(folder + FOLDER_MARK for folder in folders), name])

    def _target(self, key: str) -> Path:
        return Path(self._place(key))

    def _open(self, key: str) -> BinaryIO:
        try:
            return self._target(key).open("rb")
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectNotFound(key) from None

    def _prepare(self) -> None:
        self._incoming_folder.mkdir(parents=True, exist_ok=True)
        for path in self._incoming_folder.iterdir():
            # A writer holds a lock as long as it lives; the minute covers the instant
            # between making the file and locking it.
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                if path.stat().st_mtime < time.time() - _STALE_SECONDS:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()

    def _check(self) -> None:
        if not os.access(self._incoming_folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "cannot write", str(self._incoming_folder))
        self._require_room()

    def _delete(self, paths: Sequence[Path]) -> None:
        folders = set()
        for path in paths:
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
                folders.add(path.parent)
        for folder in folders:
            with suppress(FileNotFoundError):
                sync_folder(str(folder))
            # Deepest first, up to the first that still holds something.
            with suppress(OSError):
                while folder != self._folder:
                    folder.rmdir()
                    folder = folder.parent

    def _walk(self, prefix: str, after: str) -> Iterator[ObjectStat]:
        *folders, _ = prefix.split("/")
        top = self._folder.joinpath(*(folder + FOLDER_MARK for folder in folders))
        for key, entry in walk_files(
            top, "".join(f"{folder}/" for folder in folders), prefix, after
        ):
            with suppress(FileNotFoundError):
                yield file_stat(key, entry.stat(follow_symlinks=False))
