"""Transformed pictures: found in the store, or rendered once by a worker however many ask."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from bus.deadlines import Within
from bus.publisher import Publisher
from bus.replies import Outcome, Replies
from contracts.asset.commands import RenderTransform
from contracts.asset.errors import TransformLater
from contracts.asset.transforms import TransformMade
from contracts.envelope import Envelope
from contracts.errors import DomainError, ErrorKind, Failure
from contracts.types import new_id
from gateway.patience import patience
from gateway.serving.finding import find_object
from handlers.asset.rules import transform_formats, transform_key
from infra.object_store import ObjectStat, ObjectStore

SOURCE = "/grid8/gateway"
AT_ONCE = 256
"""Pictures that one gateway waits for."""
REMEMBERED = 10_000
"""Failures that one gateway remembers."""


@dataclass(slots=True)
class Pictures:
    """Of one gateway. ``pause`` is for how many seconds a failure is believed, ``wait`` how many
    a worker is given."""

    store: ObjectStore
    publisher: Publisher
    replies: Replies
    pause: float
    wait: float
    _coming: dict[str, asyncio.Task[TransformMade]] = field(default_factory=dict)
    _failed: dict[str, tuple[float, Failure]] = field(default_factory=dict)

    async def get(self, wanted: RenderTransform) -> tuple[ObjectStat, str]:
        """The picture, as it is stored, and the format it is in.

        Raises what the worker answers, TransformLater when it does not, and DependencyDown.
        """
        picture = _key(wanted, wanted.format)
        coming = self._coming.get(picture)
        if coming is None:
            for format_ in transform_formats(wanted.format):
                stat = await find_object(self.store, _key(wanted, format_))
                if stat is not None:
                    return stat, format_
            coming = self._coming.get(picture) or self._begin(picture, wanted)
        made = await asyncio.shield(coming)
        stat = await find_object(self.store, made.key)
        if stat is None:
            # Others were made since, and took its place.
            raise TransformLater(retry_after=1)
        return stat, made.format

    def _begin(self, picture: str, wanted: RenderTransform) -> asyncio.Task[TransformMade]:
        until, failure = self._failed.get(picture, (0.0, None))
        if failure is not None and time.monotonic() < until:
            raise _error(failure)
        if len(self._coming) >= AT_ONCE:
            raise TransformLater(retry_after=1)
        # Nobody's own: whoever asked first may go away, and the others wait on.
        coming = asyncio.create_task(self._render(picture, wanted), name=f"await {picture}")
        self._coming[picture] = coming
        coming.add_done_callback(lambda task: self._came(picture, task))
        return coming

    def _came(self, picture: str, task: asyncio.Task[TransformMade]) -> None:
        del self._coming[picture]
        if not task.cancelled():
            task.exception()  # whoever still waits is told

    async def _render(self, picture: str, wanted: RenderTransform) -> TransformMade:
        outcome = await self._ask(wanted)
        if outcome.failure is None:
            return TransformMade.model_validate(outcome.result)
        if outcome.failure.kind is not ErrorKind.UNAVAILABLE:
            self._failed.pop(picture, None)
            self._failed[picture] = (time.monotonic() + self.pause, outcome.failure)
            while len(self._failed) > REMEMBERED:
                del self._failed[next(iter(self._failed))]
        raise _error(outcome.failure)

    async def _ask(self, wanted: RenderTransform) -> Outcome:
        id = new_id("cmd")
        envelope = Envelope.of_command(
            wanted,
            source=SOURCE,
            actor=None,
            id=id,
            correlationid=id,
            replyto=self.replies.channel,
        )
        with self.replies.expect(id) as future:
            with patience():
                await self.publisher.send(envelope)
            try:
                with Within(self.wait):
                    return await future
            except TimeoutError as error:
                raise TransformLater(retry_after=5) from error


def _key(wanted: RenderTransform, format_: str) -> str:
    return transform_key(
        wanted.organization_id,
        wanted.blob_id,
        wanted.transform,
        format_,
        still=wanted.format == "still",
    )


def _error(failure: Failure) -> DomainError:
    known = DomainError.all().get(failure.code)
    if known is None or failure.kind is ErrorKind.INTERNAL:
        return TransformLater("Rendering it failed again and again.", retry_after=60)
    return known(failure.detail, retry_after=failure.retry_after)
