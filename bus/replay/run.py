"""Feeds chosen events to one group again, and knows how far it has got.

The events go into the group's lane (see replay/lane.py) in waves. A wave holds at most one
event of each subject, and the next is begun when the group has done with all of the last:
so the events of one subject are handled in their order, whichever worker handles each, and
also when one of them has to be tried again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bus import streams
from bus.broker import decode, ensure_group
from bus.documents import INBOX, REPLAYS, Database
from bus.pipeline import Pipeline
from bus.recovery.watermark import position
from bus.replay.lane import Again, feed
from bus.replay.source import Source
from bus.unit_of_work import inbox_key
from contracts.envelope import Envelope
from contracts.types import now

PAGE = 500
LOOK_AGAIN = 2.0
"""Seconds after which it is made sure that a wave has not been lost with Redis."""

TRIES = 5
"""How often events are fed that Redis loses on the way."""

State = Literal["done", "stopped", "failing"]
Raw = list[tuple[bytes, dict[bytes, bytes]]]


class NotHandled(RuntimeError):
    """The group's workers skip what they are fed: they are of another version."""


@dataclass(slots=True)
class Progress:
    """How far a replay is: events the group has done with, and how many of them gave trouble."""

    done: int = 0
    dead: int = 0
    retried: int = 0


class Replay:
    """One replay: its record in MongoDB says what it is of, and from where it goes on.

    ``observing`` says that the group keeps no inbox. Set ``stop`` to end it early: it can be
    gone on with, by another ``Replay`` of the same record.
    """

    def __init__(
        self,
        record: dict[str, Any],
        source: Source,
        database: Database,
        redis: Redis,
        *,
        observing: bool = False,
    ) -> None:
        self.id: str = record["_id"]
        self.progress = Progress(**record["counts"])
        self.stop = asyncio.Event()
        self._group: str = record["group"]
        self._why = Again(self.id, record["reaction"], record["effects"])
        self._place = record["position"]
        self._source = source
        self._database = database
        self._redis = redis
        self._pipeline = Pipeline(redis)
        self._observing = observing
        self._dead_seen = "0-0"
        self._dead: set[str] = set()

    async def run(
        self,
        *,
        rate: float | None = None,
        ramp: bool = False,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> State:
        """Feed everything. ``rate`` is events per second at most.

        With ``ramp``, 1 event, then 10, 100 and so on; and no more, once one of them had to be
        tried again or was given up: ``failing``. Raises NotHandled, RedisError and PyMongoError; go on then.
        """
        await ensure_group(self._redis, streams.replay(self._group), self._group)
        await self._look_at_dead()
        troubled = self.progress.dead + self.progress.retried
        step, in_step = (1 if ramp else PAGE), 0
        due = time.monotonic()
        page_size = PAGE if rate is None else max(1, min(PAGE, int(rate * 5)))
        async for page, place in self._source.pages(self._place, page_size):
            for wave in waves(page):
                rest = list(wave)
                while rest:
                    most = step - in_step if ramp else PAGE
                    if rate is not None:
                        most = min(most, max(1, int(rate / 10)))
                    part, rest = rest[:most], rest[most:]
                    if not await self._sleep(due - time.monotonic()) or not await self._do(part):
                        return await self._end("stopped")
                    due = max(due, time.monotonic() - 1) + (len(part) / rate if rate else 0)
                    self.progress.done += len(part)
                    report(self.progress)
                    if ramp and self.progress.dead + self.progress.retried > troubled:
                        return await self._end("failing")
                    in_step += len(part)
                    if ramp and in_step >= step:
                        step, in_step = step * 10, 0
            self._place = place
            await self._save(state="running")
        return await self._end("done")

    async def _sleep(self, seconds: float) -> bool:
        """Wait; False when the replay is to stop."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self.stop.wait()
            except TimeoutError:
                pass
        return not self.stop.is_set()

    async def _do(self, events: Sequence[Envelope]) -> bool:
        """Have the group handle events, and wait until it has; False when it is to stop first."""
        left = list(events)
        for _ in range(TRIES):
            entries = await feed(self._pipeline, self._group, left, self._why)
            if not await self._handled(entries):
                return False
            await self._look_at_dead()
            left = await self._not_handled(left)
            if not left:
                return True
        raise NotHandled(
            f"the workers of {self._group} acknowledge {left[0].type} and do not handle it: "
            "do they know the reaction?"
        )

    async def _handled(self, entries: Sequence[str]) -> bool:
        stream, wanted = streams.replay(self._group), set(entries)
        pause, looked = 0.002, time.monotonic()
        while True:
            if await self._read_to(entries[-1]):
                pending: list[Any] = await self._redis.xpending_range(
                    stream, self._group, entries[0], entries[-1], len(entries) + 100
                )
                if wanted.isdisjoint(each["message_id"].decode() for each in pending):
                    return True
            if time.monotonic() - looked > LOOK_AGAIN:
                if not await self._range(stream, entries[-1], entries[-1]):
                    return True  # lost with Redis, or done with and trimmed: the inbox tells
                looked = time.monotonic()
            if not await self._sleep(pause):
                return False
            pause = min(pause * 1.5, 0.05)

    async def _read_to(self, entry: str) -> bool:
        stream = streams.replay(self._group)
        try:
            groups: list[Any] = await self._redis.xinfo_groups(stream)
        except ResponseError as error:
            if "no such key" not in str(error).lower():
                raise
            groups = []
        for each in groups:
            if each["name"].decode() == self._group:
                return position(each["last-delivered-id"]) >= position(entry)
        await ensure_group(self._redis, stream, self._group)
        return False

    async def _not_handled(self, events: Sequence[Envelope]) -> list[Envelope]:
        """What was lost on the way: neither in the inbox nor given up."""
        if self._observing:
            return []
        keys = {
            inbox_key(self._group, each.id, self.id): each
            for each in events
            if each.id not in self._dead
        }
        async for found in self._database[INBOX].find({"_id": {"$in": list(keys)}}, {"_id": 1}):
            del keys[found["_id"]]
        return list(keys.values())

    async def _look_at_dead(self) -> None:
        """Count what has been given up since the last look, and what had to be tried again."""
        while page := await self._range(streams.dead(self._group), f"({self._dead_seen}", "+"):
            self._dead_seen = page[-1][0].decode()
            for _, fields in page:
                if fields.get(b"replay", b"").decode() == self.id:
                    self._dead.add(Envelope.model_validate_json(decode(fields)).id)
        self.progress.dead = max(self.progress.dead, len(self._dead))
        tried = await self._redis.get(streams.retries(self._group, self.id))
        self.progress.retried = max(self.progress.retried, int(tried or 0))

    async def _range(self, stream: str, first: str, last: str) -> Raw:
        return cast(Raw, await self._redis.xrange(stream, first, last, count=PAGE))

    async def _save(self, **more: Any) -> None:
        progress = self.progress
        counts = {"done": progress.done, "dead": progress.dead, "retried": progress.retried}
        await self._database[REPLAYS].update_one(
            {"_id": self.id},
            {"$set": {"position": self._place, "counts": counts, "updated_at": now(), **more}},
        )

    async def _end(self, state: State) -> State:
        if state == "done":
            await self._save(state=state)
        else:
            # What was fed of the last page is fed again, and skipped: it is counted then.
            await self._database[REPLAYS].update_one(
                {"_id": self.id}, {"$set": {"state": state, "updated_at": now()}}
            )
        await self._pipeline.close()
        return state


def waves(page: Sequence[Envelope]) -> list[list[Envelope]]:
    """The events in waves: in each at most one of a subject, its earlier ones in earlier waves."""
    lines: dict[tuple[str, str], list[Envelope]] = {}
    for event in sorted(page, key=lambda each: (each.time, each.id)):
        domain = event.type.partition(".")[0]
        lines.setdefault((domain, event.subject or event.id), []).append(event)
    for line in lines.values():
        if all(each.revision is not None for each in line):
            line.sort(key=lambda each: each.revision or 0)
    longest = max(map(len, lines.values()), default=0)
    return [[line[i] for line in lines.values() if len(line) > i] for i in range(longest)]
