"""Objects that arrive in pieces, over days if need be: what has come stays, whoever dies.

The store is the only truth about what has arrived, so any process can go on where another has
stopped. One may write at a time; who writes holds a lock of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Staged:
    """``modified`` is when the last byte came, in UTC. ``note`` is what its maker noted."""

    key: str
    offset: int
    modified: datetime
    completed: bool
    note: dict[str, Any] = field(default_factory=dict)


class StagingBusy(Exception):
    """Somebody else is writing to it."""


class Appending(Protocol):
    """Bytes on their way into a staged object."""

    @property
    def offset(self) -> int:
        """Bytes the object has, with those that were added."""
        ...

    async def add(self, chunk: bytes) -> None:
        """Take the next bytes. Raises StoreFull or infra.breaker.DependencyUnavailable."""
        ...


class Staging(Protocol):
    """``tenant`` and ``id`` are segments of a key. Raises as ObjectStore does."""

    @property
    def scratch(self) -> Path | None:
        """A folder on the disk that the bytes will be on; None for the system's own."""
        ...

    async def create(
        self, tenant: str, id: str, key: str, note: dict[str, Any], *, limit: int
    ) -> None:
        """Begin an object without bytes, that will be ``key`` when it is complete.

        It will not have more than ``limit`` bytes; nobody checks that here.
        """
        ...

    async def look(self, tenant: str, id: str) -> Staged:
        """What has arrived, to the last byte that will not be lost. Raises ObjectNotFound."""
        ...

    async def note(self, tenant: str, id: str, note: dict[str, Any]) -> None:
        """Replace the note. Raises ObjectNotFound."""
        ...

    def append(
        self,
        tenant: str,
        id: str,
        *,
        media_type: Callable[[bytes], str],
        seen: Callable[[bytes | memoryview], None],
    ) -> AbstractAsyncContextManager[Appending]:
        """Add bytes at the end. On leaving, however that comes, what was added lasts.

        ``media_type`` tells the type from the first bytes, where the store wants to know;
        ``seen`` is called in a thread with what was kept, in order. Raises ObjectNotFound,
        StagingBusy where the store itself can tell.
        """
        ...

    async def complete(self, tenant: str, id: str, *, media_type: Callable[[bytes], str]) -> None:
        """Make the object appear whole under its key; nothing happens the second time."""
        ...

    async def remove(self, tenant: str, id: str) -> None:
        """Forget it, with its bytes unless it is complete; missing ones are fine."""
        ...

    def list(self) -> AsyncIterator[tuple[str, str, datetime]]:
        """Tenant, id, and when something was last noted, of everything there is."""
        ...
