"""The bytes an organization may store: what is stored, and what uploads under way will be.

Each upload holds its bytes before they are kept (``quota_ledger``), so that many at once never
go past the quota together. While Redis is away nothing is let in: an upload could not be
registered either. What Redis loses is held again by the uploads that go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import Context

import structlog
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from contracts.actor import Actor
from contracts.asset.errors import QuotaExceeded
from contracts.asset.views import UsageView
from contracts.types import new_id
from gateway.errors import DependencyDown
from gateway.patience import patience
from handlers.asset.queries import get_asset_count, get_stored_bytes, list_stored_contents
from infra.quota_ledger import Ending, Ledger

log = structlog.get_logger(__name__)

LEASE = 300.0
"""Seconds an upload in one request holds its bytes without a sign of life: longer than any
silence that it survives."""
SETTLED_WITHIN = 0.1
"""Seconds in which a gateway has said that an upload it has answered is registered."""
QUEUED = 3600.0
"""Seconds that bytes are held for a command that has not been carried out yet."""
FRESH = 10.0
"""Seconds a count is good for; none older than the request refuses it."""
COUNTED = 600.0
"""Seconds it is good for whoever waited for it: counting may take long, too."""
SMALLEST, LARGEST = 256 * 1024, 16 * 1024 * 1024
"""Bytes of a portion that an upload without a length holds in advance."""


class Quota:
    """Asks for room, and says what became of it. Raises DependencyDown while it cannot."""

    def __init__(self, ledger: Ledger, limit: int) -> None:
        self.limit = limit
        self._ledger = ledger
        self._counting: dict[str, asyncio.Task[None]] = {}
        self._telling: set[asyncio.Task[None]] = set()

    async def hold(
        self, actor: Actor, upload: str, need: int, *, want: int = 0, lease: float = LEASE
    ) -> int:
        """Let an upload hold ``need`` bytes in all for ``lease`` seconds, or up to ``want``.

        Holding anew changes the number, and renews the lease; ``upload`` is any id that is the
        upload's own. Raises QuotaExceeded; what it held before it then goes on holding.
        """
        if not self.limit:
            return max(need, want)
        org, first, fresh, waited = actor.tenant, None, FRESH, False
        with _asking():
            while True:
                got = await self._ledger.hold(
                    org,
                    upload,
                    max(need, want),
                    need,
                    quota=self.limit,
                    lease=lease,
                    fresh=fresh,
                )
                if got.granted >= 0:
                    return got.granted
                first = got.now if first is None else first
                if got.counted_at >= first and not waited:
                    # What another gateway had just registered counted twice, if it had not
                    # said so before the count.
                    waited = await asyncio.sleep(SETTLED_WITHIN, True)
                elif got.counted_at >= first:
                    raise QuotaExceeded(
                        f"The quota is {self.limit} bytes. {got.used} are used, with uploads "
                        f"under way, and {need} were asked for."
                    )
                await self.count(actor)
                fresh = COUNTED

    async def end(
        self, actor: Actor, upload: str, what: Ending, size: int = 0, *, sha256: str = ""
    ) -> None:
        """Say what became of an upload: see Ledger.end. Repeating it is harmless."""
        if self.limit:
            with _asking():
                await self._ledger.end(actor.tenant, upload, what, size, lease=QUEUED, sha=sha256)

    def settle_soon(self, actor: Actor, upload: str, size: int) -> None:
        """Say that an upload's bytes are registered, while nobody waits for it.

        What is lost of this runs out by itself: until then the bytes are counted twice.
        """
        if self.limit:
            # Of nobody's context: the request is answered meanwhile.
            telling = asyncio.create_task(self._settle(actor, upload, size), context=Context())
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _settle(self, actor: Actor, upload: str, size: int) -> None:
        with suppress(DependencyDown), _asking():
            await self._ledger.end(actor.tenant, upload, "settled", size, later=True)

    async def close(self) -> None:
        """Wait until all has been said."""
        if self._telling:
            await asyncio.wait(self._telling)

    @asynccontextmanager
    async def reserved(self, actor: Actor, size: int | None) -> AsyncIterator[Reservation]:
        """Room for an upload in one request, of ``size`` bytes where that is known.

        Given up at the end, unless the reservation was told that the bytes are kept.
        """
        reservation = Reservation(self, actor, new_id("upl"))
        if size is not None:
            await reservation.cover(size, exactly=True)
        try:
            yield reservation
        finally:
            # What cannot be said now runs out by itself.
            with suppress(DependencyDown):
                await reservation.close()

    async def count(self, actor: Actor) -> None:
        """Count anew what is stored. Who asks meanwhile joins the next count, not this one."""
        org = actor.tenant
        if (running := self._counting.get(org)) is not None:
            await asyncio.wait([running])
        if (task := self._counting.get(org)) is None:
            # Of nobody's context: it counts for all who ask.
            task = asyncio.create_task(self._count(actor), context=Context())
            self._counting[org] = task
            task.add_done_callback(lambda _: self._counting.pop(org, None))
        await asyncio.shield(task)

    async def _count(self, actor: Actor) -> None:
        book = await self._ledger.read(actor.tenant)
        stored = await get_stored_bytes(actor)
        known = set()
        if book.queued:
            known = await list_stored_contents(actor, list(book.queued.values()))
        counted = [upload for upload, sha in book.queued.items() if sha in known]
        await self._ledger.counted(actor.tenant, stored, book.now, counted)

    async def usage(self, actor: Actor) -> UsageView:
        """How an organization stands."""
        with _asking():
            book = await self._ledger.read(actor.tenant)
            return UsageView(
                bytes=await get_stored_bytes(actor),
                quota=self.limit or None,
                assets=await get_asset_count(actor),
                uploads=book.uploads,
            )


class Reservation:
    """What one upload holds; grows as it goes."""

    def __init__(self, quota: Quota, actor: Actor, upload: str, *, lease: float = LEASE) -> None:
        self._quota = quota
        self._lease = lease
        self._actor = actor
        self._upload = upload
        self._held = 0
        self._size = 0
        self._renewed = 0.0
        self._sha256 = ""
        self._ending: Ending = "released"

    async def cover(self, total: int, *, exactly: bool = False) -> None:
        """Hold ``total`` bytes in all, at least. Raises QuotaExceeded."""
        self._size = max(self._size, total)
        stale = self._stale
        if self._held >= total and not stale:
            return
        need = max(total, self._held if stale else 0)
        ahead = 0 if exactly or self._held >= total else min(max(total, SMALLEST), LARGEST)
        try:
            held = await self._quota.hold(
                self._actor, self._upload, need, want=need + ahead, lease=self._lease
            )
        except DependencyDown:
            if self._held >= total:
                return  # it is only the renewal, and there is time for another
            raise
        self._held, self._renewed = held, time.monotonic()

    @property
    def _stale(self) -> bool:
        return time.monotonic() - self._renewed > LEASE / 4

    async def extend(self, more: int) -> None:
        """Hold ``more`` bytes beside those asked for so far. Raises QuotaExceeded."""
        await self.cover(self._size + more)

    async def counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks, each held before it is passed on. Raises QuotaExceeded."""
        total = 0
        async for chunk in chunks:
            total += len(chunk)
            if total > self._held or self._stale:
                await self.cover(total)
            yield chunk
        self._size = total

    def queued(self, sha256: str) -> None:
        """From now on the bytes may be registered, whether or not we hear of it."""
        self._ending, self._sha256 = "queued", sha256

    def settled(self) -> None:
        """They are registered."""
        self._ending = "settled"

    def released(self) -> None:
        """They are discarded."""
        self._ending = "released"

    async def close(self) -> None:
        """Say what became of the upload."""
        if self._held and self._ending == "settled":
            self._quota.settle_soon(self._actor, self._upload, self._size)
        elif self._held:
            await self._quota.end(
                self._actor, self._upload, self._ending, self._size, sha256=self._sha256
            )


@contextmanager
def _asking() -> Iterator[None]:
    try:
        with patience():
            yield
    except (RedisError, PyMongoError) as error:
        log.warning("quota_unknown", reason=str(error)[:300])
        raise DependencyDown("The quota cannot be looked up.", retry_after=5) from error
