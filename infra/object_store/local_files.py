"""Files of the local store: written aside, made to last, moved into place."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from infra.object_store.base import READ_BYTES, ObjectStat, StoreFull
from infra.object_store.folders import LastingFolders

FOLDER_MARK = "+"
ROOM_CHECK_BYTES = 16 * 1024 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT}
_MODE = 0o644
_VECTOR = 512
"""Buffers that are written at once; Linux takes 1024."""

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in a thread; when cancelled, leave only after it has ended.

    A thread cannot be stopped, so cleaning up beside it would race with it.
    """
    loop = asyncio.get_running_loop()
    return await to_its_end(loop.run_in_executor(None, partial(work, *args, **kwargs)))


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
    or ``commit`` did.

    Each system call lets go of the interpreter and has to get it back from a busy loop, so
    there are no more of them than it takes.
    """

    def __init__(
        self, path: str, require_room: Callable[[], None], folders: LastingFolders
    ) -> None:
        """``path`` is nobody else's."""
        self.digest = hashlib.sha256()
        self._path = path
        self._require_room = require_room
        self._folders = folders
        self._descriptor = -1
        self._named = False
        self._until_check = ROOM_CHECK_BYTES

    def open(self) -> None:
        self._require_room()
        with full_disk():
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        self._named = True
        if _masked():
            os.fchmod(self._descriptor, _MODE)
        # Tells a starting store that this file still has an owner; a crash drops it.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def add(self, chunks: list[bytes]) -> None:
        """Write ``chunks``, opening the file first when it is not open."""
        if self._descriptor < 0:
            self.open()
        for chunk in chunks:
            self.digest.update(chunk)
        with full_disk():
            self._until_check -= write_all(self._descriptor, chunks)
            if self._until_check <= 0:
                self._until_check = ROOM_CHECK_BYTES
                self._require_room()

    def copy(self, path: Path) -> None:
        with full_disk(), path.open("rb") as source, self._file() as target:
            shutil.copyfileobj(source, target, ROOM_CHECK_BYTES)
        self._require_room()

    def _file(self) -> BinaryIO:
        return open(self._descriptor, "wb", buffering=0, closefd=False)

    def commit(self, target: str, root: str) -> None:
        """Make the bytes last, then the name, with every folder from ``target`` to ``root``."""
        with full_disk():
            os.fsync(self._descriptor)
            move_into_place(self._path, target, root, self._folders)
            self._named = False
            self._close()

    def finish(self, chunks: list[bytes], target: str, root: str) -> None:
        """The last ``chunks``, and then ``commit``: one turn of a thread instead of two."""
        self.add(chunks)
        self.commit(target, root)

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def discard(self) -> None:
        self._close()
        if self._named:
            self._named = False
            with suppress(FileNotFoundError):
                os.unlink(self._path)


@cache
def _masked() -> bool:
    """Whether new files of this process have another mode than they are asked for."""
    mask = os.umask(0o077)
    os.umask(mask)
    return bool(mask & _MODE)


def write_all(descriptor: int, chunks: list[bytes]) -> int:
    """Write buffers to the last byte, in as few system calls as there can be; how many bytes."""
    total = 0
    for start in range(0, len(chunks), _VECTOR):
        part: list[bytes | memoryview] = list(chunks[start : start + _VECTOR])
        length = sum(map(len, part))
        total += length
        while length:
            written = os.writev(descriptor, part)
            length -= written
            while length and written:
                # Less than asked for: at the end of the disk, or of what one call takes.
                first = memoryview(part[0])
                if written < len(first):
                    part[0] = first[written:]
                    written = 0
                else:
                    written -= len(first)
                    del part[0]
    return total


def move_into_place(
    source: str | Path, target: str | Path, root: str | Path, folders: LastingFolders
) -> None:
    """Rename a file and make its name last, with every folder from ``target`` to ``root``."""
    target = str(target)
    folder = os.path.dirname(target)
    _replace(str(source), target, folder)
    folders.settle(folder, str(root))


def _replace(source: str, target: str, folder: str) -> None:
    for _ in range(100):
        # A delete may remove a folder, empty as it still is, between the two or within mkdir.
        with suppress(FileNotFoundError, FileExistsError):
            os.replace(source, target)
            return
        if not os.path.exists(source):
            break
        with suppress(FileNotFoundError, FileExistsError):
            os.makedirs(folder, exist_ok=True)
    raise FileNotFoundError(errno.ENOENT, "lost while it was written", source)


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
