"""A process's consumers: which streams it reads, how many messages at once, how it drains."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from faststream.redis import RedisBroker
from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bus import streams
from bus.broker import ensure_group
from bus.delivery import Delivery, Entry
from bus.handling import Handling, Policy
from bus.middleware import IN_HAND, READ
from bus.observing import Observer, observe_together
from bus.pipeline import Pipeline
from bus.reading import READ_FOR, Raw, reader
from bus.tasks import end
from bus.trim import forget_consumers, trim
from bus.turns import Turns

log = structlog.get_logger(__name__)

RECLAIM_EVERY = 0.5
TRIM_EVERY = 30.0
WATCH_EVERY = 1.0


Step = Callable[["Lane"], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Lane:
    """One stream read by one group with a number of slots."""

    stream: str
    handling: Handling
    policy: Policy
    slots: int
    linger: float = 0.0
    """Seconds between a read and the next, in which entries gather."""
    free: asyncio.Semaphore = field(init=False)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    delivery: Delivery = field(init=False)
    subscriber: Any = field(init=False)
    unstarted: dict[str, Entry] = field(default_factory=dict)
    """Entries in hand that no handler has begun, or not come to the end of."""
    gauge: Gauge = field(init=False)
    turns: Turns | None = None
    """Of what is observed, in the order of the stream."""

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.slots)
        self.gauge = IN_HAND.labels(self.stream, self.handling.group)


class Worker:
    """Runs lanes on one broker until it is told to stop."""

    def __init__(
        self,
        broker: RedisBroker,
        redis: Redis,
        pipeline: Pipeline,
        lanes: Sequence[Lane],
        *,
        heartbeat: float,
        drain_grace: float,
    ) -> None:
        self.consumer = streams.consumer_name()
        self.lanes = list(lanes)
        self._broker = broker
        self._redis = redis
        self._heartbeat = heartbeat
        self._grace = drain_grace
        self._stopping = False
        self._heartbeats: list[asyncio.Task[None]] = []
        self._upkeep: list[asyncio.Task[None]] = []
        for lane in self.lanes:
            lane.delivery = Delivery(
                redis,
                pipeline,
                lane.stream,
                lane.handling.group,
                self.consumer,
                lane.policy.claim_after,
            )
            if lane.handling.together is not None:
                show = partial(self._together, lane, lane.handling.together)
                lane.turns = Turns(
                    lane.delivery,
                    show,
                    lambda: self._stopping,
                    most=lane.policy.max_deliveries,
                )
            lane.subscriber = self._subscribe(lane)

    def _subscribe(self, lane: Lane) -> Any:
        read = READ.labels(lane.stream, lane.handling.group)

        async def receive(raw: Raw) -> None:
            entries = [Entry(id.decode(), fields, attempt=1) for id, fields in raw]
            read.observe(len(entries))
            if lane.turns is None:
                await self._dispatch(lane, entries)
            else:
                await self._observe(lane, lane.turns.read(entries))

        return reader(
            self._broker,
            lane.stream,
            lane.handling.group,
            self.consumer,
            min(lane.slots, 128),
            receive,
            linger=lane.linger,
        )

    async def start(self) -> None:
        """Create missing groups and begin to read."""
        for lane in self.lanes:
            await ensure_group(self._redis, lane.stream, lane.handling.group)
        await asyncio.gather(*(lane.turns.sole.come() for lane in self.lanes if lane.turns))
        await self._broker.start()
        # Each lane has its own, so that none waits for what holds up another.
        for lane in self.lanes:
            self._heartbeats.append(self._forever(self._beat, lane, self._heartbeat))
            self._upkeep += [
                self._forever(self._reclaim, lane, RECLAIM_EVERY),
                self._forever(self._trim, lane, TRIM_EVERY),
                self._forever(self._watch, lane, WATCH_EVERY),
            ]

    @property
    def ready(self) -> bool:
        """Whether every lane is being read."""
        return not self._stopping and all(lane.subscriber.running for lane in self.lanes)

    async def stop(self) -> None:
        """Drain: read no more, let running handlers finish within the grace, hand back the rest."""
        self._stopping = True
        # The heartbeat goes on until the handlers are done.
        await end(*self._upkeep)
        for lane in self.lanes:
            lane.subscriber.running = False  # it begins no other read
            await self._hand_back(lane)
        readers = [task for lane in self.lanes for task in lane.subscriber.tasks]
        running = [task for lane in self.lanes for task in lane.tasks]
        if running:
            _, late = await asyncio.wait(running, timeout=self._grace)
            await end(*late)
        if readers:
            # To break off a read would leave with this consumer what Redis answers to it.
            await asyncio.wait(readers, timeout=2 * READ_FOR)
        with contextlib.suppress(Exception):
            await self._broker.stop()
        await end(*self._heartbeats)
        for lane in self.lanes:
            await lane.delivery.settle()
            await self._hand_back(lane)
            lane.delivery.in_hand.clear()  # of what was taken over, and did not come to its turn
            with contextlib.suppress(RedisError):
                # What was read last, and not even looked at.
                await lane.delivery.hand_back(await lane.delivery.unheard())
            if lane.turns is not None:
                await lane.turns.sole.leave()

    async def _hand_back(self, lane: Lane) -> None:
        """Let others have at once what was read here and not begun."""
        entries = list(lane.unstarted.values())
        lane.unstarted.clear()
        with contextlib.suppress(RedisError):  # then they wait until they are taken over
            await lane.delivery.hand_back(entries)

    async def _dispatch(self, lane: Lane, entries: Sequence[Entry]) -> None:
        # All are taken before the first waits for a slot, so that the heartbeat covers them.
        taken = [entry for entry in entries if lane.delivery.take(entry.id)]
        lane.unstarted.update((entry.id, entry) for entry in taken)
        await self._begin(lane, taken)

    async def _begin(self, lane: Lane, taken: Sequence[Entry]) -> None:
        """Give each a slot, when there is one, unless they are to be handed back."""
        for entry in taken:
            if not self._stopping:
                await lane.free.acquire()
            if self._stopping:
                return
            del lane.unstarted[entry.id]
            self._run(lane, self._work(lane, entry))

    def _run(self, lane: Lane, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that draining waits for."""
        task = asyncio.create_task(work)
        lane.tasks.add(task)
        task.add_done_callback(lane.tasks.discard)
        return task

    async def _observe(self, lane: Lane, alone: Awaitable[list[Entry]]) -> None:
        """Observe in turn, and handle what is left each by itself."""
        left = await alone
        lane.unstarted.update((entry.id, entry) for entry in left)
        await self._begin(lane, left)

    async def _together(
        self, lane: Lane, observer: Observer, taken: Sequence[Entry]
    ) -> list[Entry]:
        """Those of the entries that are to be handled each by itself, or handed back."""
        if self._stopping or not taken:
            return list(taken)
        alone: list[Entry] = []

        async def work() -> None:
            lane.gauge.inc(len(taken))
            try:
                alone.extend(
                    await observe_together(
                        observer, lane.handling.group, taken, lane.delivery, lane.policy.timeout
                    )
                )
            except asyncio.CancelledError:
                alone.extend(taken)
                raise
            finally:
                lane.gauge.dec(len(taken))

        await asyncio.wait([self._run(lane, work())])
        return alone

    async def _work(self, lane: Lane, entry: Entry) -> None:
        lane.gauge.inc()
        try:
            await lane.handling.handle(entry, lane.delivery, lane.policy)
        except asyncio.CancelledError:
            lane.unstarted[entry.id] = entry
            raise
        except Exception:
            # Left pending: it is claimed again when its heartbeat has been still long enough.
            log.exception("delivery_failed", stream=lane.stream, entry=entry.id)
            lane.delivery.in_hand.pop(entry.id, None)
        finally:
            lane.gauge.dec()
            lane.free.release()

    def _forever(self, step: Step, lane: Lane, every: float) -> asyncio.Task[None]:
        async def run() -> None:
            while True:
                await asyncio.sleep(every)
                try:
                    await step(lane)
                except (RedisError, OSError) as error:
                    log.warning("upkeep_interrupted", stream=lane.stream, error=str(error)[:200])
                except Exception:
                    log.exception("upkeep_failed", stream=lane.stream)

        return asyncio.create_task(run(), name=f"{step.__name__} {lane.stream}")

    async def _beat(self, lane: Lane) -> None:
        await lane.delivery.beat(older_than=self._heartbeat / 2)

    async def _reclaim(self, lane: Lane) -> None:
        # One even where every slot is taken, or a backlog would keep retries waiting for ever.
        room = max(1, lane.slots - len(lane.tasks))
        if lane.turns is None:
            await self._dispatch(lane, await lane.delivery.reclaim(room))
        else:
            await lane.turns.sole.look()
            await self._observe(lane, lane.turns.reclaimed(room))

    async def _trim(self, lane: Lane) -> None:
        await trim(self._redis, lane.stream)
        await forget_consumers(self._redis, lane.stream)

    async def _watch(self, lane: Lane) -> None:
        """A reader stops silently when its group is gone, as after FLUSHALL: start it again."""
        if lane.subscriber.running:
            return
        log.warning("reader_restarted", stream=lane.stream, group=lane.handling.group)
        await ensure_group(self._redis, lane.stream, lane.handling.group)
        if lane.turns is not None:
            await lane.turns.sole.come()
        await lane.subscriber.start()
