"""After the commit: publish, reply and acknowledge, for all units of a moment in one round trip.

Should it break half way, nothing is lost: the outbox still says what to publish, the inbox
what to reply, and what was not acknowledged is delivered again.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from dataclasses import dataclass

from bus.committer import Committer, Publication
from bus.delivery import Delivery
from bus.pipeline import Command
from bus.publisher import Publisher, added
from bus.unit_of_work import UnitOfWork


@dataclass(slots=True)
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
        self._queue: list[tuple[Finished, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def finish(self, finished: Finished) -> None:
        """Return when Redis has it all. Raises redis.RedisError when it may have only part."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((finished, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), context=Context())
        await future

    async def _run(self) -> None:
        while self._queue:
            batch, self._queue = self._queue, []
            try:
                await self._publisher.pipeline.execute_all(_commands([each for each, _ in batch]))
            except BaseException as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(
                            error
                            if isinstance(error, Exception)
                            else ConnectionError("the process is stopping")
                        )
                if not isinstance(error, Exception):
                    raise
                continue
            for finished, future in batch:
                finished.delivery.in_hand.pop(finished.entry, None)
                if finished.publication is not None:
                    self._committer.published(finished.publication)
                if not future.done():
                    future.set_result(None)


def _commands(batch: list[Finished]) -> list[Command]:
    """One XADD per message, one PUBLISH per waiting gateway, one XACK per stream."""
    commands: list[Command] = []
    replies: dict[str, list[str]] = {}
    acks: dict[tuple[str, str], list[str]] = {}
    for finished in batch:
        unit, delivery = finished.unit, finished.delivery
        commands += map(added, unit.outbound())
        if unit.outcome is not None and unit.message.replyto is not None:
            replies.setdefault(unit.message.replyto, []).append(unit.outcome.model_dump_json())
        acks.setdefault((delivery.stream, delivery.group), []).append(finished.entry)
    # An outcome a line: JSON has no line breaks of its own.
    commands += [("PUBLISH", channel, "\n".join(bodies)) for channel, bodies in replies.items()]
    commands += [("XACK", stream, group, *ids) for (stream, group), ids in acks.items()]
    return commands
