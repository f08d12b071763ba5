"""Files of the local store: written aside, made to last, moved into place."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from infra.object_store.base import READ_BYTES, ObjectStat, StoreFull
from infra.object_store.folders import LastingFolders

FOLDER_MARK = "+"
ROOM_CHECK_BYTES = 16 * 1024 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT}

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a thread; when cancelled, leave only after it has ended.

    A thread cannot be stopped, so cleaning up beside it would race with it.
    """
    return await to_its_end(asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs)))


async def to_its_end(task: asyncio.Future[T]) -> T:
    """What comes of a task; when cancelled, leave only after it has ended."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


class Incoming:
    """A file being written aside. Every method blocks; ``discard`` comes last unless ``finish``
    or ``commit`` did."""

    def __init__(
        self, folder: Path, require_room: Callable[[], None], folders: LastingFolders
    ) -> None:
        self.digest = hashlib.sha256()
        self._folder = folder
        self._require_room = require_room
        self._folders = folders
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._until_check = ROOM_CHECK_BYTES

    def open(self) -> None:
        self._require_room()
        with full_disk():
            descriptor, name = tempfile.mkstemp(dir=self._folder)
        self._path = Path(name)
        # Tells a starting store that this file still has an owner; a crash drops it.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def add(self, chunks: list[bytes]) -> None:
        """Write ``chunks``, opening the file first when it is not open."""
        if self._file is None:
            self.open()
        assert self._file is not None
        with full_disk():
            for chunk in chunks:
                self.digest.update(chunk)
                rest = memoryview(chunk)
                while rest:
                    rest = rest[self._file.write(rest) :]
                self._until_check -= len(chunk)
            if self._until_check <= 0:
                self._until_check = ROOM_CHECK_BYTES
                self._require_room()

    def copy(self, path: Path) -> None:
        assert self._file is not None
        with full_disk(), path.open("rb") as source:
            shutil.copyfileobj(source, self._file, ROOM_CHECK_BYTES)
        self._require_room()

    def commit(self, target: Path, root: Path) -> None:
        """Make the bytes last, then the name, with every folder from ``target`` to ``root``."""
        assert self._file is not None
        assert self._path is not None
        with full_disk():
            os.fsync(self._file.fileno())
            self._path.chmod(0o644)
            move_into_place(self._path, target, root, self._folders)
            self._path = None
            self._close()

    def finish(self, chunks: list[bytes], target: Path, root: Path) -> None:
        """The last ``chunks``, and then ``commit``: one turn of a thread instead of two."""
        self.add(chunks)
        self.commit(target, root)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        self._close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None


def move_into_place(source: Path, target: Path, root: Path, folders: LastingFolders) -> None:
    """Rename a file and make its name last, with every folder from ``target`` to ``root``."""
    _replace(source, target)
    folders.settle(target.parent, root)


def _replace(source: Path, target: Path) -> None:
    for _ in range(100):
        # A delete may remove a folder, empty as it still is, between the two or within mkdir.
        with suppress(FileNotFoundError, FileExistsError):
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            return
        if not source.exists():
            break
    raise FileNotFoundError(errno.ENOENT, "lost while it was written", str(source))


@contextmanager
def full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull(str(error)) from error
        raise


async def read_chunks(
    file: BinaryIO, start: int = 0, end: int | None = None
) -> AsyncGenerator[bytes, None]:
    """The bytes of an open file in chunks of at most READ_BYTES."""
    if start:
        await asyncio.to_thread(file.seek, start)
    position = start
    while True:
        size = READ_BYTES if end is None else min(READ_BYTES, end - position)
        chunk = await asyncio.to_thread(file.read, size) if size > 0 else b""
        if not chunk:
            return
        position += len(chunk)
        yield chunk


def file_stat(key: str, stat: os.stat_result) -> ObjectStat:
    return ObjectStat(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC), None)


def walk_files(
    folder: Path, at: str, prefix: str, after: str = ""
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Keys and entries below ``folder``, whose keys start with ``at``, in the order of keys.

    Only those that start with ``prefix`` and come after ``after``.
    """

    def order(entry: os.DirEntry[str]) -> str:
        return entry.name[:-1] + "/" if entry.name.endswith(FOLDER_MARK) else entry.name

    try:
        with os.scandir(folder) as scan:
            entries = sorted((e for e in scan if not e.name.startswith(".")), key=order)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        key = at + order(entry)
        if key.endswith("/"):
            # What lies in a folder comes after its name, and before whatever comes after that.
            ahead = key > after or after.startswith(key)
            if ahead and (key.startswith(prefix) or prefix.startswith(key)):
                yield from walk_files(Path(entry.path), key, prefix, after)
        elif key.startswith(prefix) and key > after:
            yield key, entry
