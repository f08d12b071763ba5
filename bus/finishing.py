"""After the commit: reply, publish and acknowledge, for all units of a moment together.

Whoever waits for one command alone is told before anything that Redis has to write to disk;
under load one round trip does it all.

Should it break half way, nothing is lost: the outbox still says what to publish, the inbox
what to reply, and what was not acknowledged is delivered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bus.batching import Batcher
from bus.committer import Committer, Publication
from bus.delivery import Delivery
from bus.pipeline import Command
from bus.publisher import Publisher
from bus.unit_of_work import UnitOfWork

FEW = 4
"""Units up to which a reply goes ahead: it then waits for no fsync, and costs a round trip."""


@dataclass(slots=True, eq=False)
class Finished:
    """A committed unit, and the entry that asked for it."""

    unit: UnitOfWork
    publication: Publication | None
    delivery: Delivery
    entry: str


class Finisher:
    """Finishes committed units. One per handling."""

    def __init__(self, publisher: Publisher, committer: Committer) -> None:
        self._publisher = publisher
        self._committer = committer
        self._together: Batcher[Finished, None] = Batcher(self._finish)

    async def finish(self, finished: Finished) -> None:
        """Return when Redis has it all. Raises redis.RedisError when it may have only part."""
        await self._together.find(finished)

    async def _finish(self, batch: Sequence[Finished]) -> dict[Finished, None]:
        pipeline = self._publisher.pipeline
        replies, acks = _replies(batch), _acks(batch)
        outbound = [each for finished in batch for each in finished.unit.outbound()]
        if len(batch) <= FEW and replies:
            await pipeline.execute_all(replies)
            await self._publisher.publish_and(outbound, acks)
        else:
            await self._publisher.publish_and(outbound, [*replies, *acks])
        for finished in batch:
            finished.delivery.in_hand.pop(finished.entry, None)
            if finished.publication is not None:
                self._committer.published(finished.publication)
        return {}


def _acks(batch: Sequence[Finished]) -> list[Command]:
    """One XACK per stream."""
    acks: dict[tuple[str, str], list[str]] = {}
    for finished in batch:
        delivery = finished.delivery
        acks.setdefault((delivery.stream, delivery.group), []).append(finished.entry)
    return [("XACK", stream, group, *ids) for (stream, group), ids in acks.items()]


def _replies(batch: Sequence[Finished]) -> list[Command]:
    """One PUBLISH per waiting gateway."""
    replies: dict[str, list[str]] = {}
    for finished in batch:
        outcome, channel = finished.unit.outcome, finished.unit.message.replyto
        if outcome is not None and channel is not None:
            replies.setdefault(channel, []).append(outcome.model_dump_json())
    # An outcome a line: JSON has no line breaks of its own.
    return [("PUBLISH", channel, "\n".join(bodies)) for channel, bodies in replies.items()]
