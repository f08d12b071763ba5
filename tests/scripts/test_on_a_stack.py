"""What operators see and do while a whole stack is at work: metrics, a lost projection, addresses."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bus import streams
from bus.broker import FIELD, encode
from contracts.auth.events import UserRegistered
from contracts.envelope import Envelope
from contracts.types import new_id, now
from infra.embedded.layout import ROOT
from infra.embedded.running import RunningStack
from tests.faults.harness import Caller, Load, Stores, fault_stack, stores_of, until

DASHBOARD = ROOT / "infra" / "deploy" / "grafana" / "grid8.json"
WORKERS = ("worker-auth", "worker-corp", "worker-asset", "worker-mail", "relay")

ONLY_AFTER_A_FAULT = {
    "grid8_recovered_total",
    "grid8_relayed_total",
    "grid8_realtime_cuts_total",
    "grid8_realtime_gaps_total",
    "grid8_realtime_archive_behind",
    "grid8_realtime_archive_holes_total",
    "grid8_realtime_archive_late_seconds",
    "grid8_realtime_queued_frames",
    "grid8_realtime_refusals_total",
    "grid8_breaker_state",
    "grid8_breaker_refused_total",
    "grid8_realtime_hints_total",
    "grid8_realtime_presence_messages_total",
    "grid8_realtime_refused_total",
}
"""Declared, and nothing but 0, while Redis, the store and the sockets' readers are well, and
nobody watches the work on an asset, or who is there, or opens too many sockets."""

Metrics = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    async with fault_stack(tmp_path_factory.mktemp("operated")) as running:
        yield running


@pytest.fixture
async def stores(stack: RunningStack) -> AsyncIterator[Stores]:
    async with stores_of(stack) as opened:
        yield opened


async def grid8(stack: RunningStack, *arguments: str) -> str:
    """The standard output of a command that is told of the stack by its folder alone."""
    env = {name: value for name, value in stack.env.items() if not name.startswith("GRID8_")}
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scripts.grid8", *arguments,
        cwd=ROOT,
        env={**env, "GRID8_DATA_FOLDER": str(stack.layout.folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, errors = await asyncio.wait_for(ran.communicate(), 60)
    assert ran.returncode == 0, errors.decode()
    return said.decode()


async def scraped(stack: RunningStack, *, only: str = "") -> Metrics:
    """Every sample of every process, or of one worker's or the relay's."""
    urls = [stack.gateway_url, stack.notifier_url, *map(stack.ops_url, WORKERS)]
    if only:
        urls = [stack.ops_url(only)]
    found: Metrics = defaultdict(list)
    async with aiohttp.ClientSession() as http:
        for url in urls:
            async with http.get(f"{url}/metrics") as response:
                assert response.status == 200, url
                text = await response.text()
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    found[sample.name].append((sample.labels, sample.value))
                if not family.samples:
                    found[family.name + "_total" * (family.type == "counter")] += []
    return found


def most(metrics: Metrics, name: str, **labels: str) -> float:
    """The largest of the samples with these labels; less than nothing when there is none."""
    fitting = [value for found, value in metrics[name] if labels.items() <= found.items()]
    return max(fitting, default=-1.0)


async def poison(stores: Stores) -> None:
    """Something for corp that cannot be read, and something that it fails at again and again."""
    await stores.redis.xadd(streams.commands("corp"), {FIELD: b"\xff\xfe"})
    for number in range(2):
        event = UserRegistered(
            user_id=f"usr_poison{number}", email="poison@example.org", name="Poison"
        )
        envelope = Envelope(
            id=new_id("evt"), source="/grid8/tests", type=event.wire, time=now(),
            subject=event.user_id, data=event.model_dump(mode="json"),
        )  # fmt: skip
        value = encode(envelope.wire(), id=envelope.id, correlation=None)
        await stores.redis.xadd(streams.events("auth"), {FIELD: value})


async def test_every_metric_of_the_dashboard_is_exported_and_moves_under_load(
    stack: RunningStack, stores: Stores
) -> None:
    used = set(re.findall(r"grid8_\w+", " ".join(
        target["expr"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", [])
    )))  # fmt: skip
    async with Load(stack) as load:
        await load.answered(60)
        await poison(stores)
        stack.process("worker-asset").signal(signal.SIGSTOP)
        try:
            asset = {"stream": streams.events("corp"), "group": "asset"}

            async def falls_behind() -> Any:
                seen = await scraped(stack, only="relay")
                behind = most(seen, "grid8_stream_lag", **asset) > 0
                return (behind and most(seen, "grid8_stream_oldest_age_seconds", **asset) > 1) or (
                    seen["grid8_stream_lag"]
                )

            await until(falls_behind, "the relay to see that asset falls behind")
            behind = await scraped(stack, only="relay")
        finally:
            stack.process("worker-asset").signal(signal.SIGCONT)

        async def seen_all() -> Any:
            for name, samples in (await scraped(stack)).items():
                behind[name] += samples
            if most(behind, "grid8_dead_letters_waiting", domain="corp") < 2:
                return "the dead letters"
            still = {name for name in used - ONLY_AFTER_A_FAULT if most(behind, name) <= 0}
            return still or True

        await until(seen_all, "every metric to be more than 0")
        metrics = await scraped(stack)
        missing = {name for name in used if name not in metrics}
        assert not missing
        await load.finish()

    corp = {"group": "corp"}
    created = {**corp, "type": "corp.brand.create"}
    for name in ("grid8_handler_seconds_count", "grid8_message_age_seconds_count"):
        assert most(metrics, name, **created) > 10, name
    assert most(metrics, "grid8_messages_total", **created, outcome="done") > 10
    registered = {**corp, "type": UserRegistered.wire}
    assert most(metrics, "grid8_retries_total", **registered, kind="failed") == 4
    assert most(metrics, "grid8_dead_letters_total", **corp, reason="undecodable") == 1
    given_up = {**corp, "handler": "remember_the_person", "reason": "Duplicate"}
    assert most(metrics, "grid8_dead_letters_total", **given_up) == 1
    assert most(metrics, "grid8_dead_letters_waiting", domain="corp") == 2
    reads = {"stream": streams.commands("corp"), "group": "corp"}
    assert most(metrics, "grid8_read_entries_count", **reads) > 10
    assert most(metrics, "grid8_commit_units_count") > 10
    (duplicate,) = [
        each
        for each in json.loads(await grid8(stack, "dead-letters", "list", "--json"))
        if each["reason"].startswith("Duplicate")
    ]
    assert duplicate["attempts"] == 5
    assert "given up" not in await grid8(stack, "dead-letters", "drop", "--all", "--yes")


async def test_a_projection_that_was_deleted_is_rebuilt_while_the_stack_is_at_work(
    stack: RunningStack, stores: Stores
) -> None:
    database = stores.database
    volatile = {"created_at": 0, "updated_at": 0, "revision": 0, "held": 0}

    async def people() -> dict[str, dict[str, Any]]:
        return {each["_id"]: each async for each in database["corp_people"].find({}, volatile)}

    async with aiohttp.ClientSession() as http:
        callers = [await Caller.new(http, stack.gateway_url) for _ in range(6)]
        for number, caller in enumerate(callers[:4]):
            for name in ("Before", f"Person {number}"):
                answer = await caller.send("PATCH", "/v1/me", json={"name": name})
                assert answer.status == 200, answer

        async def renamed() -> Any:
            names = {each["name"] for each in (await people()).values()}
            return names >= {f"Person {number}" for number in range(4)} or names

        await until(renamed, "corp to know everybody by their names")
        # Not what the test before has made up: the event log does not know of it.
        await database["corp_people"].delete_many({"email": "poison@example.org"})
        known, events = await people(), await database["events"].count_documents({})
        await database["corp_people"].delete_many({})
        counted = await grid8(stack, "replay", "--group", "corp", "--dry-run")
        assert counted.split()[:4] == ["TYPE", "EVENTS", "auth.user.registered", str(len(known))]
        assert await people() == {}, "a dry run changes nothing"
        said = await grid8(stack, "replay", "--group", "corp", "--ramp", "--rate", "500/s")
        total = counted.split()[-1]
        assert f"done: {total} of {total}" in said
        assert await people() == known
        assert await database["events"].count_documents({}) == events, "nothing was said again"
        made = await callers[0].send("POST", "/v1/orgs", json={"name": "Rebuilt"})
        assert made.status == 201, made


async def test_the_addresses_in_asyncapi_are_those_of_the_stack_that_runs(
    stack: RunningStack,
) -> None:
    servers = json.loads(await grid8(stack, "asyncapi"))["servers"]
    assert servers["redis"]["host"] in stack.redis_url
    assert servers["redis"]["protocol"] == "redis"
    notifier = stack.notifier_url.removeprefix("http://")
    assert [servers[name]["host"] for name in ("websocket", "http")] == [notifier] * 2
