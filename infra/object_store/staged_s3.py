"""Objects that arrive in pieces, in a bucket: parts of the object itself, and a tail.

Parts of one size go straight to where the object will be; what is less than a part is an
object of its own, named by where it begins, so that an old one is never taken for the new.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.object_store.base import ObjectNotFound, checked_key
from infra.object_store.local_files import to_its_end
from infra.object_store.s3_calls import Calls
from infra.object_store.staged_s3_state import (
    BINARY,
    HEAD_BYTES,
    PREFIX,
    StagedObjects,
    State,
    code_of,
    folder_of,
    info_key,
    tail_key,
)
from infra.object_store.staging import Staged
from infra.settings import StoreSettings

_PARTS = 10_000


class S3Staging:
    """``staged/<tenant>/<id>/info``, ``…/tail-<where it begins>``, and a multipart upload."""

    def __init__(self, calls: Callable[[], Calls], settings: StoreSettings) -> None:
        self._objects = StagedObjects(calls)
        self._settings = settings

    @property
    def scratch(self) -> Path | None:
        return None

    async def create(
        self, tenant: str, id: str, key: str, note: dict[str, Any], *, limit: int
    ) -> None:
        part = max(self._settings.part_bytes, -(-limit // (_PARTS - 1)))
        info = {"key": checked_key(key), "part": part, "upload": None, "completed": None}
        await self._objects.write_info(tenant, id, info | {"note": note})

    async def look(self, tenant: str, id: str) -> Staged:
        state = await self._objects.state(tenant, id)
        completed = state.info["completed"] is not None
        return Staged(
            state.info["key"], state.offset, state.modified, completed, state.info["note"]
        )

    async def note(self, tenant: str, id: str, note: dict[str, Any]) -> None:
        info, _ = await self._objects.read_info(tenant, id)
        await self._objects.write_info(tenant, id, info | {"note": note})

    @asynccontextmanager
    async def append(
        self,
        tenant: str,
        id: str,
        *,
        media_type: Callable[[bytes], str],
        seen: Callable[[bytes | memoryview], None],
    ) -> AsyncGenerator[S3Appending, None]:
        state = await self._objects.state(tenant, id)
        tail = b""
        if state.tail:
            tail = await self._objects.read(tail_key(tenant, id, state.arrived))
        appending = S3Appending(self._objects, (tenant, id), state, tail, media_type, seen)
        try:
            yield appending
        finally:
            await to_its_end(asyncio.ensure_future(appending.finish()))

    async def complete(self, tenant: str, id: str, *, media_type: Callable[[bytes], str]) -> None:
        objects = self._objects
        state = await objects.state(tenant, id)
        key, size = state.info["key"], state.offset
        if state.info["completed"] is None:
            state.info["completed"] = size
            await objects.write_info(tenant, id, state.info)
        elif await objects.is_there(key, size):
            return
        tail = tail_key(tenant, id, state.arrived)
        rest = await objects.read(tail) if state.tail else b""
        if state.info["upload"] is None:
            if len(rest) != size:
                raise ObjectNotFound(key)
            await objects.put(key, rest, media_type(rest[:HEAD_BYTES]))
        else:
            if rest:
                number = len(state.parts) + 1
                state.parts.append(await objects.send_part(state, number, rest))
            try:
                await objects.join_parts(state)
            except ClientError as error:
                # The answer to an attempt that succeeded may have been lost.
                if code_of(error) != "NoSuchUpload" or not await objects.is_there(key, size):
                    raise
        await objects.calls.delete([tail])

    async def remove(self, tenant: str, id: str) -> None:
        try:
            info, _ = await self._objects.read_info(tenant, id)
        except ObjectNotFound:
            return
        if info["upload"] is not None:
            await self._objects.abort(info)
        last = info_key(tenant, id)
        keys = [each["Key"] async for each in self._objects.list(folder_of(tenant, id))]
        # The info last: as long as it is there, somebody will come to remove the rest.
        if rest := [key for key in keys if key != last]:
            await self._objects.calls.delete(rest)
        await self._objects.calls.delete([last])

    async def list(self) -> AsyncIterator[tuple[str, str, datetime]]:
        async for each in self._objects.list(PREFIX):
            _, tenant, id, name = each["Key"].split("/")
            if name == "info":
                yield tenant, id, each["LastModified"].astimezone(UTC)


class S3Appending:
    """Sends one part while the next is filled: holds two, and what is being added."""

    def __init__(
        self,
        objects: StagedObjects,
        at: tuple[str, str],
        state: State,
        tail: bytes,
        media_type: Callable[[bytes], str],
        seen: Callable[[bytes | memoryview], None],
    ) -> None:
        self.offset = state.arrived + len(tail)
        self._objects = objects
        self._at = at
        self._state = state
        self._media_type = media_type
        self._seen = seen
        self._part_bytes: int = state.info["part"]
        self._buffer = bytearray(tail)
        self._stored = len(tail)
        """Bytes of the buffer that are stored as the tail already."""
        self._sending: asyncio.Task[dict[str, Any]] | None = None
        self._failed = False

    async def add(self, chunk: bytes) -> None:
        await asyncio.to_thread(self._seen, chunk)
        self.offset += len(chunk)
        rest = memoryview(chunk)
        while rest:
            room = self._part_bytes - len(self._buffer)
            self._buffer += rest[:room]
            rest = rest[room:]
            if len(self._buffer) >= self._part_bytes:
                await self._send()

    async def finish(self) -> None:
        """Wait for the part that travels, and keep what is less than one."""
        await self._landed()
        # After a part that was lost there is a gap, and what came later is lost with it.
        if not self._failed and len(self._buffer) > self._stored:
            tail = tail_key(*self._at, self._state.arrived)
            await self._objects.put(tail, bytes(self._buffer), BINARY)

    async def _send(self) -> None:
        await self._landed()
        part, self._buffer = bytes(self._buffer), bytearray()
        self._failed = True
        if self._state.info["upload"] is None:
            media_type = self._media_type(part[:HEAD_BYTES])
            await self._objects.begin_parts(*self._at, self._state, media_type)
        number = len(self._state.parts) + 1
        self._sending = asyncio.ensure_future(self._objects.send_part(self._state, number, part))

    async def _landed(self) -> None:
        """Raises what became of the part under way."""
        if self._sending is None:
            return
        sending, self._sending = self._sending, None
        part = await to_its_end(sending)
        self._failed = False
        old = tail_key(*self._at, self._state.arrived)
        self._state.parts.append(part)
        self._state.arrived += part["Size"]
        if self._stored:
            await self._objects.calls.delete([old])
            self._stored = 0
