"""What an upload in pieces holds of its organization's quota, from its creation to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

from contracts.actor import Actor
from contracts.asset.errors import QuotaExceeded
from gateway.errors import DependencyDown
from gateway.state import Gateway
from gateway.uploading.quota import Reservation
from gateway.uploading.resumable import Upload
from infra.quota_ledger import KEPT


def _lease(gateway: Gateway) -> float:
    """As long as an upload is kept; once it has expired it holds nothing any more."""
    return min(gateway.resumables.uploads.expire, KEPT - 86400)


async def hold(gateway: Gateway, actor: Actor, id: str, size: int) -> None:
    """Hold so many bytes until the upload expires. Raises QuotaExceeded."""
    await gateway.quota.hold(actor, id, size, lease=_lease(gateway))


async def hold_on(gateway: Gateway, actor: Actor, upload: Upload) -> None:
    """Hold what it will have, or has so far, for as long again; what is held already stays."""
    size = upload.offset if upload.note.length is None else upload.note.length
    await hold(gateway, actor, upload.id, size)


async def held(
    gateway: Gateway, actor: Actor, upload: Upload, chunks: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The chunks, held before they are passed on where no length was said. Raises QuotaExceeded."""
    # Between two requests nobody renews it: what has come is stored for as long as an upload is.
    total = upload.offset
    growing = Reservation(gateway.quota, actor, upload.id, lease=_lease(gateway))
    async for chunk in chunks:
        total += len(chunk)
        if upload.note.length is None:
            await growing.cover(total)
        yield chunk


async def hold_still(gateway: Gateway, actor: Actor, upload: Upload) -> None:
    """Of what was held in advance, keep what has come: the next request may be days away."""
    if upload.note.length is None:
        with suppress(DependencyDown, QuotaExceeded):
            await hold_on(gateway, actor, upload)


async def release(gateway: Gateway, actor: Actor, id: str) -> None:
    """It is given up; what cannot be said now runs out by itself."""
    with suppress(DependencyDown):
        await gateway.quota.end(actor, id, "released")
