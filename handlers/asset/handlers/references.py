"""Who has which bytes: each version of an asset counts once, and the last one takes them along."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bus.batching import Batcher
from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import AddVersion, RegisterAsset, SweepBlob
from handlers.asset.documents import Blob


async def _fetch(wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    either = [{"organization_id": org, "sha256": sha256} for org, sha256 in wanted]
    found = Blob.get_pymongo_collection().find({"$or": either})
    return {(each["organization_id"], each["sha256"]): each async for each in found}


_stored: Batcher[tuple[str, str], dict[str, Any]] = Batcher(_fetch)
"""Documents, not models: each unit of work changes one of its own."""


SUSPICIOUS = 60.0
"""Seconds after equal bytes were met in which they are looked for first."""


class _Repeats:
    """Whether this process has lately been given bytes that were stored already.

    New bytes need no look: the unique index finds those that are not, and the handler runs
    again. That costs a transaction, and so it is relied on only while it hardly ever happens.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def are_likely(self) -> bool:
        return time.monotonic() < self._until

    def met(self) -> None:
        self._until = time.monotonic() + SUSPICIOUS


_repeats = _Repeats()


class References:
    """What one unit of work changes in references. Each blob is written once, by ``settle``."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._known: dict[str, Blob] = {}
        self._changes: Counter[str] = Counter()

    async def take(self, command: RegisterAsset | AddVersion) -> Blob:
        """The blob for bytes that were stored: the one they have already, or a new one."""
        uow = self._uow
        stored: dict[str, Any] | None = None
        if uow.rerun or _repeats.are_likely():
            stored = await _stored.find((uow.org, command.sha256))
        blob: Blob | None = None if stored is None else Blob.model_validate(stored)
        if blob is None:
            blob = Blob(
                id=command.blob_id,
                organization_id=uow.org,
                sha256=command.sha256,
                bytes=command.bytes,
                media_type=command.media_type,
            )
            uow.add(blob)
            return blob
        _repeats.met()
        self._known[blob.id] = blob
        self.share(blob.id)
        if blob.id != command.blob_id:
            uow.send(SweepBlob(organization_id=uow.org, blob_id=command.blob_id))
        return blob

    def share(self, blob: str) -> None:
        """One more version has these bytes."""
        self._changes[blob] += 1

    def give_back(self, blob: str) -> None:
        """One version less has these bytes."""
        self._changes[blob] -= 1

    async def settle(self) -> None:
        """Stage the changes; bytes that nobody has any more are swept."""
        uow = self._uow
        for id, change in self._changes.items():
            blob = self._known.get(id) or await Blob.get(id)
            if change == 0 or blob is None:
                continue
            blob.references += change
            if blob.references > 0:
                uow.save(blob)
            else:
                uow.remove(blob)
                uow.send(SweepBlob(organization_id=blob.organization_id, blob_id=blob.id))
        self._changes.clear()
