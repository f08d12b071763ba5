"""What an object store is, whichever it is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from infra.object_store.direct import DirectUploads
from infra.object_store.staging import Staging

READ_BYTES = 256 * 1024
"""Bytes a chunk of a read has at most."""

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_KEY_BYTES = 1024


@dataclass(frozen=True)
class ObjectStat:
    """``modified`` is in UTC; ``media_type`` is None where the store does not keep it."""

    key: str
    bytes: int
    modified: datetime
    media_type: str | None


@dataclass(frozen=True)
class Written:
    """What was stored; ``sha256`` in lower-case hex."""

    bytes: int
    sha256: str


class ObjectNotFound(Exception):
    """There is no such key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no object {key}")
        self.key = key


class ObjectTooLarge(Exception):
    """The chunks went past ``limit`` bytes; nothing was stored."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class StoreFull(Exception):
    """The disk has no room, or less than must stay free; nothing was stored."""


class ObjectStore(Protocol):
    """Keys are segments of ``A-Z a-z 0-9 . _ -`` joined by ``/``, none starting with a dot.

    A bad key raises ValueError. A remote store raises infra.breaker.DependencyUnavailable
    while it cannot be reached.
    """

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def write(
        self, key: str, chunks: AsyncIterator[bytes], *, media_type: str, limit: int
    ) -> Written:
        """Store ``chunks`` under ``key``, replacing it, in constant memory.

        The key appears whole or not at all, and once this returns it survives a crash.
        Raises ObjectTooLarge past ``limit`` bytes, StoreFull, and whatever ``chunks``
        raises; then, and when cancelled, nothing is left behind.
        """
        ...

    async def write_file(self, key: str, path: Path, *, media_type: str) -> None:
        """Store a local file, as ``write`` does."""
        ...

    def read(
        self, key: str, start: int = 0, end: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Bytes ``start`` to ``end`` (exclusive) in chunks of at most READ_BYTES.

        What lies past the end of the object is left out. Raises ObjectNotFound on entry.
        """
        ...

    async def fetch(self, key: str, path: Path) -> None:
        """Copy an object to a local file. Raises ObjectNotFound; then there is no file."""
        ...

    async def stat(self, key: str) -> ObjectStat:
        """Raises ObjectNotFound."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove keys; missing ones are fine."""
        ...

    def list(self, prefix: str, *, after: str = "") -> AsyncIterator[ObjectStat]:
        """Every object whose key starts with ``prefix``, in the order of keys.

        Those that come after ``after``, which need be no key.
        """
        ...

    async def check(self) -> None:
        """Raises when the store cannot be used now."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Where the object's bytes lie on this machine, whether or not it exists; or None."""
        ...

    def direct(self) -> DirectUploads | None:
        """Uploads by presigned URLs, where the store can have them."""
        ...

    def staging(self) -> Staging:
        """Objects that arrive in pieces; usable while the store is started."""
        ...


def checked_key(key: str) -> str:
    """``key`` itself. Raises ValueError when it is not one."""
    segments = key.split("/")
    if len(key) > _KEY_BYTES or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ValueError(f"not an object key: {key[:80]!r}")
    return key


def checked_segment(text: str) -> str:
    """``text`` itself. Raises ValueError when it is not one segment of a key."""
    if "/" in text:
        raise ValueError(f"not an object key: {text[:80]!r}")
    return checked_key(text)


def checked_prefix(prefix: str) -> str:
    """``prefix`` itself: empty, or the beginning of a key. Raises ValueError otherwise."""
    if prefix:
        # One letter more makes a key of any beginning of one, also of "orgs/".
        checked_key(prefix + "x")
    return prefix


def checked_range(start: int, end: int | None) -> None:
    """Raises ValueError for a range that runs backwards or begins before the object."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"not a range: {start}..{end}")
