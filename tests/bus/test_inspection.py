"""What the streams look like: counts, ages, rates, and what is not there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

import handlers.notifier.metrics
import infra.breaker
from bus import committer, inspection, middleware, relay, streams
from bus.broker import ensure_group
from bus.delivery import PARKED
from bus.inspection import Inspector, StreamReport, export, names, watch
from bus.recovery import epoch
from gateway import app
from tests.bus.probe import COMMANDS, DEAD, DOMAIN, EVENT_STREAM, Bus, until

DASHBOARD = Path(__file__).parents[2] / "infra/deploy/grafana/grid8.json"
DECLARING = (
    committer, inspection, middleware, epoch, relay, app, handlers.notifier.metrics, infra.breaker,
)  # fmt: skip


@pytest.fixture
def inspector(bus: Bus) -> Inspector:
    return Inspector(bus.redis, [DOMAIN], 2)


@pytest.fixture(autouse=True)
def _no_gauges_left() -> Iterator[None]:
    yield
    export([])


def of(reports: list[StreamReport], stream: str) -> StreamReport:
    return next(each for each in reports if each.stream == stream)


async def test_what_does_not_exist_is_reported_as_missing(inspector: Inspector) -> None:
    reports = await inspector.look()
    assert [each.stream for each in reports] == names([DOMAIN], 2)
    assert len(reports) == 7
    assert not any(each.exists or each.length or each.groups for each in reports)


async def test_a_stream_without_groups_and_an_emptied_one_are_reported(
    bus: Bus, inspector: Inspector
) -> None:
    id = await bus.redis.xadd(DEAD, {"a": "b"})
    await ensure_group(bus.redis, EVENT_STREAM, "one")
    reports = await inspector.look()
    dead = of(reports, DEAD)
    assert (dead.exists, dead.length, dead.groups) == (True, 1, ())
    assert dead.oldest is not None
    assert 0 <= dead.oldest < 5
    (group,) = of(reports, EVENT_STREAM).groups
    assert (group.lag, group.pending, group.oldest, group.readers) == (0, 0, None, 0)
    await bus.redis.xdel(DEAD, id)
    assert of(await inspector.look(), DEAD).oldest is None


async def test_lag_pending_ages_and_consumers_of_each_group(bus: Bus, inspector: Inspector) -> None:
    seconds, _ = await bus.redis.time()
    for age in (100, 50, 10):
        await bus.redis.xadd(COMMANDS, {"a": "b"}, id=f"{(seconds - age) * 1000}-0")
    delivery = bus.delivery(consumer="worker-1")
    await ensure_group(bus.redis, COMMANDS, "late")
    entries = await bus.read(delivery, count=2)
    await delivery.ack(entries[0].id)
    groups = {each.name: each for each in of(await inspector.look(), COMMANDS).groups}

    late = groups["late"]
    assert (late.lag, late.pending, late.oldest_pending, late.consumers) == (3, 0, None, ())
    assert late.oldest == pytest.approx(100, abs=3)
    assert late.last_delivered == "0-0"
    ours = groups[DOMAIN]
    assert (ours.lag, ours.pending, ours.done) == (1, 1, 1)
    assert ours.oldest_pending == pytest.approx(50, abs=3)
    assert ours.oldest_unread == pytest.approx(10, abs=3)
    assert ours.oldest == ours.oldest_pending
    assert ours.last_delivered == entries[1].id
    (consumer,) = ours.consumers
    assert (consumer.name, consumer.pending, ours.readers) == ("worker-1", 1, 1)
    assert 0 <= consumer.idle < 5


async def test_what_waits_for_its_next_attempt_is_in_nobodys_hands(
    bus: Bus, inspector: Inspector
) -> None:
    await bus.redis.xadd(COMMANDS, {"a": "b"})
    delivery = bus.delivery(consumer="worker-1")
    (entry,) = await bus.read(delivery)
    await delivery.park(entry, 1.0, counted=True)
    (group,) = of(await inspector.look(), COMMANDS).groups
    assert {each.name for each in group.consumers} == {"worker-1", PARKED}
    assert (group.readers, group.pending) == (1, 1)


async def test_unread_entries_are_counted_where_redis_has_lost_count(
    bus: Bus, inspector: Inspector
) -> None:
    ids = [await bus.redis.xadd(COMMANDS, {"a": "b"}) for _ in range(6)]
    await ensure_group(bus.redis, COMMANDS, DOMAIN)
    # A hole among what the group has not read makes Redis say nil.
    await bus.redis.xgroup_setid(COMMANDS, DOMAIN, ids[1])
    await bus.redis.xdel(COMMANDS, ids[3])
    raw = await bus.redis.xinfo_groups(COMMANDS)
    assert raw[0]["lag"] is None
    (group,) = of(await inspector.look(), COMMANDS).groups
    assert group.lag == 3
    assert group.done is None
    assert group.oldest_unread is not None


async def test_rates_come_from_two_looks(bus: Bus, inspector: Inspector) -> None:
    delivery = bus.delivery()
    await ensure_group(bus.redis, COMMANDS, DOMAIN)
    first = of(await inspector.look(), COMMANDS)
    assert first.adds_per_second is None
    assert first.groups[0].acks_per_second is None
    began = time.monotonic()
    for _ in range(40):
        await bus.redis.xadd(COMMANDS, {"a": "b"})
    entries = await bus.read(delivery)
    for entry in entries[:10]:
        await delivery.ack(entry.id)
    second = of(await inspector.look(), COMMANDS)
    passed = time.monotonic() - began
    assert second.adds_per_second is not None
    assert second.adds_per_second >= 0.5 * 40 / passed
    acks = second.groups[0].acks_per_second
    assert acks is not None
    assert acks / second.adds_per_second == pytest.approx(10 / 40)
    await bus.redis.delete(COMMANDS)
    await bus.redis.xadd(COMMANDS, {"a": "b"})
    assert of(await inspector.look(), COMMANDS).adds_per_second is None, "made anew"


async def test_the_gauges_say_what_the_reports_say_and_forget_what_is_gone(
    bus: Bus, inspector: Inspector
) -> None:
    await bus.redis.xadd(COMMANDS, {"a": "b"})
    await bus.redis.xadd(DEAD, {"a": "b"})
    await ensure_group(bus.redis, COMMANDS, DOMAIN)
    export(await inspector.look())
    at = {"stream": COMMANDS, "group": DOMAIN}

    def value(name: str, labels: dict[str, str]) -> Any:
        return REGISTRY.get_sample_value(name, labels)

    assert value("grid8_stream_length", {"stream": COMMANDS}) == 1
    assert value("grid8_stream_lag", at) == 1
    assert value("grid8_stream_pending", at) == 0
    assert value("grid8_stream_readers", at) == 0
    assert 0 <= value("grid8_stream_oldest_age_seconds", at) < 5
    assert value("grid8_dead_letters_waiting", {"domain": DOMAIN}) == 1
    await bus.redis.delete(COMMANDS, DEAD)
    export(await inspector.look())
    assert value("grid8_stream_lag", at) is None
    assert value("grid8_stream_length", {"stream": COMMANDS}) is None


async def test_watching_sets_the_gauges_again_and_again_and_outlives_an_error(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = Inspector.look

    async def sometimes(self: Inspector) -> list[StreamReport]:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise ConnectionError("Redis is away")
        return await look(self)

    monkeypatch.setattr(Inspector, "look", sometimes)
    watching = asyncio.create_task(watch(bus.redis, [DOMAIN], 0.01, shards=1))
    await until(lambda: looks >= 3, "a third look")
    await bus.redis.xadd(streams.push(0), {"a": "b"})
    labels = {"stream": streams.push(0)}
    await until(
        lambda: REGISTRY.get_sample_value("grid8_stream_length", labels) == 1, "the push stream"
    )
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


def test_the_dashboard_names_only_metrics_and_labels_that_are_declared() -> None:
    import re

    assert all(DECLARING)
    declared: dict[str, set[str]] = {}
    for collector in set(REGISTRY._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for name in REGISTRY._collector_to_names[collector]:
            declared[name] = labels
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert len(expressions) > 30
    used = set()
    for expression in expressions:
        metrics = re.findall(r"grid8_\w+", expression)
        assert metrics, expression
        used |= set(metrics)
        for metric in metrics:
            assert metric in declared, f"{metric} in {expression}"
        grouped = {
            label.strip()
            for by in re.findall(r"by \(([^)]*)\)", expression)
            for label in by.split(",")
        }
        known = set().union({"le"}, *(declared[metric] for metric in metrics))
        assert grouped <= known, expression
    assert len({panel["id"] for panel in panels}) == len(panels)
    ours = {
        re.sub(r"_(total|created|sum|count|bucket)$", "", n) for n in declared if n[:6] == "grid8_"
    }
    shown = {re.sub(r"_(total|sum|count|bucket)$", "", n) for n in used}
    assert ours - shown == set(), "every metric we declare is on the dashboard"
