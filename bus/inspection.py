"""What the streams look like now: for people (``grid8 streams``) and for Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from bus import streams
from bus.delivery import PARKED
from bus.pipeline import Pipeline

log = structlog.get_logger(__name__)

COUNTED = 1000
"""Unread entries counted at most where Redis does not know how many there are."""

ALIVE_WITHIN = 15.0
"""Seconds since a consumer last asked for anything; a worker's asks every second."""

_STREAM = ["stream"]
_GROUP = ["stream", "group"]
LENGTH = Gauge("grid8_stream_length", "Entries in a stream", _STREAM)
LAG = Gauge("grid8_stream_lag", "Entries a group has not read", _GROUP)
PENDING = Gauge("grid8_stream_pending", "Entries a group has read and not acknowledged", _GROUP)
OLDEST = Gauge(
    "grid8_stream_oldest_age_seconds", "Age of the oldest entry a group has not done", _GROUP
)
READERS = Gauge("grid8_stream_readers", "Consumers of a group that are alive", _GROUP)
DEAD_LETTERS = Gauge("grid8_dead_letters_waiting", "Dead letters nobody has seen to", ["domain"])
_GAUGES = (LENGTH, LAG, PENDING, OLDEST, READERS, DEAD_LETTERS)


@dataclass(frozen=True, slots=True)
class ConsumerReport:
    """One reader of a group; ``idle`` is seconds since it last asked for anything."""

    name: str
    pending: int
    idle: float


@dataclass(frozen=True, slots=True)
class GroupReport:
    """How far a group is. Ages are seconds since the entry was added; None without such entry."""

    name: str
    lag: int
    pending: int
    oldest_pending: float | None
    oldest_unread: float | None
    last_delivered: str
    consumers: tuple[ConsumerReport, ...]
    done: int | None
    """Entries acknowledged so far; None where Redis has lost count."""
    acks_per_second: float | None = None

    @property
    def readers(self) -> int:
        """Consumers that are alive; Redis remembers also those of processes that are no more."""
        return sum(1 for each in self.consumers if each.idle < ALIVE_WITHIN and each.name != PARKED)

    @property
    def oldest(self) -> float | None:
        """Age of the oldest entry that the group has not acknowledged."""
        ages = [age for age in (self.oldest_pending, self.oldest_unread) if age is not None]
        return max(ages, default=None)


@dataclass(frozen=True, slots=True)
class StreamReport:
    """One stream; ``exists`` is False where nothing was ever added and no group made."""

    stream: str
    exists: bool
    length: int = 0
    oldest: float | None = None
    added: int = 0
    adds_per_second: float | None = None
    groups: tuple[GroupReport, ...] = ()


def names(domains: Sequence[str], shards: int = 0) -> list[str]:
    """Every stream of these domains, and the push streams."""
    of_domains = [
        name
        for domain in domains
        for name in (
            streams.commands(domain),
            streams.commands(domain, "slow"),
            streams.events(domain),
            streams.replay(domain),
            streams.dead(domain),
        )
    ]
    return of_domains + [streams.push(shard) for shard in range(shards)]


class Inspector:
    """Looks at streams again and again; from the second look on it knows rates."""

    def __init__(self, redis: Redis, domains: Sequence[str], shards: int = 0) -> None:
        self._pipeline = Pipeline(redis)
        self._names = names(domains, shards)
        self._before: dict[str, StreamReport] = {}
        self._looked = 0.0

    async def look(self) -> list[StreamReport]:
        """A report on every stream, whether it is there or not. Raises redis.RedisError."""
        seconds, microseconds = await self._pipeline.execute("TIME")
        now = int(seconds) + int(microseconds) / 1e6
        looked = time.monotonic()
        found = await asyncio.gather(*(self._report(name, now) for name in self._names))
        passed = looked - self._looked
        reports = [_with_rates(each, self._before.get(each.stream), passed) for each in found]
        self._before = {each.stream: each for each in reports}
        self._looked = looked
        return reports

    async def _report(self, name: str, now: float) -> StreamReport:
        try:
            raw = await self._pipeline.execute("XINFO", "STREAM", name, "FULL", "COUNT", 1)
        except ResponseError as error:
            if "no such key" in str(error).lower():
                return StreamReport(name, exists=False)
            raise
        stream = _named(raw)
        entries = stream["entries"]
        groups = [_named(group) for group in stream["groups"]]
        return StreamReport(
            name,
            exists=True,
            length=int(stream["length"]),
            oldest=_age(_text(_pairs(entries)[0][0]), now) if entries else None,
            added=int(stream["entries-added"]),
            groups=tuple(
                await asyncio.gather(*(self._group(name, group, now) for group in groups))
            ),
        )

    async def _group(self, stream: str, group: Mapping[str, Any], now: float) -> GroupReport:
        last = _text(group["last-delivered-id"])
        lag = group["lag"]
        unread: list[Any] = []
        if lag is None or int(lag) > 0:
            unread = await self._pipeline.execute(
                "XRANGE", stream, f"({last}", "+", "COUNT", COUNTED if lag is None else 1
            )
        pending, oldest = int(group["pel-count"]), group["pending"]
        # Before its first read a group has read nothing, which Redis calls unknown.
        read = 0 if last == "0-0" else group["entries-read"]
        return GroupReport(
            name=_text(group["name"]),
            lag=len(unread) if lag is None else int(lag),
            pending=pending,
            oldest_pending=_age(_text(oldest[0][0]), now) if oldest else None,
            oldest_unread=_age(_text(unread[0][0]), now) if unread else None,
            last_delivered=last,
            consumers=tuple(_consumer(_named(each), now) for each in group["consumers"]),
            done=None if read is None else int(read) - pending,
        )


def export(reports: Sequence[StreamReport]) -> None:
    """Set the gauges to these reports; what is in none of them has no value any more."""
    for gauge in _GAUGES:
        gauge.clear()
    for report in reports:
        if not report.exists:
            continue
        LENGTH.labels(report.stream).set(report.length)
        if report.stream == streams.dead(streams.domain_of(report.stream)):
            DEAD_LETTERS.labels(streams.domain_of(report.stream)).set(report.length)
        for group in report.groups:
            labels = (report.stream, group.name)
            LAG.labels(*labels).set(group.lag)
            PENDING.labels(*labels).set(group.pending)
            OLDEST.labels(*labels).set(group.oldest or 0.0)
            READERS.labels(*labels).set(group.readers)


async def watch(redis: Redis, domains: Sequence[str], every: float, *, shards: int = 0) -> None:
    """Set the gauges every ``every`` seconds, until cancelled; outlives an absent Redis."""
    inspector = Inspector(redis, domains, shards)
    while True:
        try:
            export(await inspector.look())
        except (RedisError, OSError) as error:
            log.warning("streams_not_inspected", reason=str(error)[:300])
        except Exception:
            log.exception("inspection_failed")
        await asyncio.sleep(every)


def _with_rates(now: StreamReport, before: StreamReport | None, seconds: float) -> StreamReport:
    if before is None or not now.exists or seconds <= 0:
        return now
    done = {group.name: group.done for group in before.groups}
    groups = tuple(
        replace(group, acks_per_second=_rate(group.done, done.get(group.name), seconds))
        for group in now.groups
    )
    return replace(now, groups=groups, adds_per_second=_rate(now.added, before.added, seconds))


def _rate(now: int | None, before: int | None, seconds: float) -> float | None:
    if now is None or before is None or now < before:
        return None  # it was made anew in between
    return (now - before) / seconds


def _consumer(raw: Mapping[str, Any], now: float) -> ConsumerReport:
    idle = max(0.0, now - int(raw["seen-time"]) / 1000)
    return ConsumerReport(_text(raw["name"]), int(raw["pel-count"]), idle)


def _age(id: str, now: float) -> float:
    return max(0.0, now - int(id.partition("-")[0]) / 1000)


def _pairs(raw: Any) -> list[Any]:
    return list(raw.items()) if isinstance(raw, Mapping) else list(raw)


def _named(raw: Any) -> dict[str, Any]:
    """Redis' names and values: one flat list in RESP2, a map in RESP3."""
    if isinstance(raw, Mapping):
        return {_text(name): value for name, value in raw.items()}
    return {_text(name): value for name, value in zip(raw[::2], raw[1::2], strict=True)}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
