"""Objects that clients put straight into the store, by URLs that are signed for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Target:
    """Where to PUT, and the headers that are signed with it, beside the length."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has arrived; ``etag`` without quotes, ``came`` in UTC."""

    number: int
    bytes: int
    etag: str
    came: datetime


@dataclass(frozen=True, slots=True)
class Multipart:
    """An upload in parts that was not completed. ``begun`` is in UTC."""

    key: str
    id: str
    begun: datetime


class DirectUploads(Protocol):
    """Signing is local; everything else raises as ObjectStore does."""

    async def target(self, key: str, size: int, seconds: int) -> Target:
        """A URL that takes ``size`` bytes as an object, for ``seconds`` (a week at most)."""
        ...

    async def begin(self, key: str) -> str:
        """Begin an upload in parts; its id. Each call begins another."""
        ...

    async def part_targets(
        self, key: str, id: str, sizes: Sequence[int], seconds: int
    ) -> list[Target]:
        """A URL for each part, in order, that takes just as many bytes."""
        ...

    async def parts(self, key: str, id: str) -> list[Part]:
        """The parts that have arrived, by number. Raises ObjectNotFound once it has ended."""
        ...

    async def assemble(self, key: str, id: str, parts: Sequence[Part]) -> None:
        """Make the object of its parts. Raises ObjectNotFound once it has ended.

        Nobody can change the object then: the URLs of its parts are good for nothing.
        """
        ...

    async def abort(self, key: str, id: str) -> None:
        """End an upload in parts, and remove them. Fine when it has ended."""
        ...

    def unfinished(self, prefix: str) -> AsyncIterator[Multipart]:
        """Every upload in parts below ``prefix`` that was neither completed nor aborted."""
        ...
