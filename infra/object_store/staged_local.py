"""Objects that arrive in pieces, in the folder of a local store: a file each, and its info."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.object_store.base import ObjectNotFound, checked_segment
from infra.object_store.folders import LastingFolders
from infra.object_store.local_files import (
    ROOM_CHECK_BYTES,
    full_disk,
    in_thread,
    move_into_place,
    to_its_end,
)
from infra.object_store.staging import Staged, StagingBusy

STAGED = ".staged"
_AHEAD = 4 * 1024 * 1024
"""Bytes that wait in memory, at most, while others are written."""


class LocalStaging:
    """``<id>.bytes`` has what has arrived, and its size is the offset; ``<id>.info`` the rest."""

    def __init__(
        self,
        folder: Path,
        target: Callable[[str], Path],
        require_room: Callable[[], None],
        folders: LastingFolders,
    ) -> None:
        self._root = folder
        self._folders = folders
        self._folder = folder / STAGED
        self._target = target
        self._require_room = require_room

    @property
    def scratch(self) -> Path | None:
        return self._root

    async def create(
        self, tenant: str, id: str, key: str, note: dict[str, Any], *, limit: int
    ) -> None:
        self._target(key)

        def make() -> None:
            self._require_room()
            with full_disk():
                path = self._bytes(tenant, id)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                self._write_info(tenant, id, {"key": key, "completed": None, "note": note})

        await in_thread(make)

    async def look(self, tenant: str, id: str) -> Staged:
        return await asyncio.to_thread(self._look, tenant, id)

    async def note(self, tenant: str, id: str, note: dict[str, Any]) -> None:
        await in_thread(self._change_info, tenant, id, "note", note)

    @asynccontextmanager
    async def append(
        self,
        tenant: str,
        id: str,
        *,
        media_type: Callable[[bytes], str],
        seen: Callable[[bytes | memoryview], None],
    ) -> AsyncGenerator[LocalAppending, None]:
        appending = LocalAppending(self._bytes(tenant, id), self._require_room, seen)
        try:
            await in_thread(appending.open)
            yield appending
        finally:
            try:
                await appending.finish()
            finally:
                await in_thread(appending.close)

    async def complete(self, tenant: str, id: str, *, media_type: Callable[[bytes], str]) -> None:
        def move() -> None:
            found = self._look(tenant, id)
            source, target = self._bytes(tenant, id), self._target(found.key)
            if not found.completed:
                self._change_info(tenant, id, "completed", found.offset)
            if source.exists():
                with full_disk():
                    source.chmod(0o644)
                    move_into_place(source, target, self._root, self._folders)
            elif not target.exists():
                raise ObjectNotFound(found.key)

        await in_thread(move)

    async def remove(self, tenant: str, id: str) -> None:
        def unlink() -> None:
            # The info last: as long as it is there, somebody will come to remove the bytes.
            self._bytes(tenant, id).unlink(missing_ok=True)
            self._info(tenant, id).unlink(missing_ok=True)

        await in_thread(unlink)

    async def list(self) -> AsyncIterator[tuple[str, str, datetime]]:
        for path in await asyncio.to_thread(lambda: sorted(self._folder.glob("*/*.info"))):
            with suppress(FileNotFoundError):
                stat = await asyncio.to_thread(path.stat)
                yield path.parent.name, path.stem, datetime.fromtimestamp(stat.st_mtime, UTC)

    def _bytes(self, tenant: str, id: str) -> Path:
        return self._folder / checked_segment(tenant) / f"{checked_segment(id)}.bytes"

    def _info(self, tenant: str, id: str) -> Path:
        return self._bytes(tenant, id).with_suffix(".info")

    def _look(self, tenant: str, id: str) -> Staged:
        info = self._read_info(tenant, id)
        try:
            stat = self._bytes(tenant, id).stat()
        except FileNotFoundError:
            if info["completed"] is None:
                raise ObjectNotFound(f"{tenant}/{id}") from None
            stat = self._info(tenant, id).stat()
        completed = info["completed"] is not None
        offset = info["completed"] if completed else stat.st_size
        modified = datetime.fromtimestamp(stat.st_mtime, UTC)
        return Staged(info["key"], offset, modified, completed, info["note"])

    def _read_info(self, tenant: str, id: str) -> dict[str, Any]:
        try:
            info: dict[str, Any] = json.loads(self._info(tenant, id).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectNotFound(f"{tenant}/{id}") from None
        return info

    def _change_info(self, tenant: str, id: str, name: str, value: Any) -> None:
        self._write_info(tenant, id, self._read_info(tenant, id) | {name: value})

    def _write_info(self, tenant: str, id: str, info: dict[str, Any]) -> None:
        path = self._info(tenant, id)
        with full_disk():
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(json.dumps(info).encode())
                    file.flush()
                    os.fsync(file.fileno())
                move_into_place(Path(name), path, self._root, self._folders)
            finally:
                Path(name).unlink(missing_ok=True)


class LocalAppending:
    """Writes in a thread as bytes come, so that a process that is killed has kept them."""

    def __init__(
        self,
        path: Path,
        require_room: Callable[[], None],
        seen: Callable[[bytes | memoryview], None],
    ) -> None:
        self.offset = 0
        self._path = path
        self._require_room = require_room
        self._seen = seen
        self._descriptor: int | None = None
        self._batch: list[bytes] = []
        self._waiting = 0
        self._writing: asyncio.Task[None] | None = None
        self._until_check = ROOM_CHECK_BYTES

    def open(self) -> None:
        self._require_room()
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            raise ObjectNotFound(self._path.stem) from None
        # The kernel frees it with the process: nobody else's bytes ever come between.
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StagingBusy from None
        self.offset = os.fstat(self._descriptor).st_size

    async def add(self, chunk: bytes) -> None:
        self._batch.append(chunk)
        self._waiting += len(chunk)
        self.offset += len(chunk)
        if self._writing is not None and (self._writing.done() or self._waiting >= _AHEAD):
            await self._written()
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write_on())

    async def finish(self) -> None:
        """Make what was added last, unless it could not be written."""
        if self._descriptor is None:
            return
        if self._writing is not None:
            await self._written()
        await in_thread(os.fsync, self._descriptor)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    async def _write_on(self) -> None:
        while self._batch:
            batch, self._batch, self._waiting = self._batch, [], 0
            await asyncio.to_thread(self._write, batch)

    async def _written(self) -> None:
        assert self._writing is not None
        writing, self._writing = self._writing, None
        await to_its_end(writing)

    def _write(self, batch: list[bytes]) -> None:
        assert self._descriptor is not None
        with full_disk():
            for chunk in batch:
                rest = memoryview(chunk)
                while rest:
                    count = os.write(self._descriptor, rest)
                    self._seen(rest[:count])
                    rest = rest[count:]
                self._until_check -= len(chunk)
            if self._until_check <= 0:
                self._until_check = ROOM_CHECK_BYTES
                self._require_room()
