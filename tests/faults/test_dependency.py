"""The object store goes away: the breaker opens for everybody, its work waits, the rest goes on."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bus import streams
from infra.embedded.running import RunningStack
from tests.faults.harness import Caller, check_quiet, fault_stack, stores_of, until
from tests.faults.harness.mix import png
from tests.faults.line import Line, State
from tests.infra.s3_servers import made_bucket, moto_server

ASSETS = 8
CHANGES = 25
SLOW = streams.commands("asset", "slow")
BREAKER = "grid8:breaker:{s3}"


@pytest.fixture(scope="module")
async def line() -> AsyncIterator[Line]:
    with moto_server() as url:
        target = urlsplit(url)
        assert target.hostname
        assert target.port
        made = Line(target.hostname, target.port)
        await made.turn("through")
        async with made_bucket(url, "grid8-faults"):
            yield made
        await made.close()


@pytest.fixture(scope="module")
async def stack(
    line: Line, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningStack]:
    env = {
        "GRID8_STORE__BACKEND": "s3",
        "GRID8_STORE__BUCKET": "grid8-faults",
        "GRID8_STORE__ENDPOINT_URL": line.url,
        "GRID8_STORE__ACCESS_KEY": "test",
        "GRID8_STORE__SECRET_KEY": "test",
        "GRID8_STORE__TIMEOUT": "1",
        "GRID8_STORE__ATTEMPTS": "2",
        "GRID8_BREAKER__THRESHOLD": "3",
        "GRID8_BREAKER__TTL": "1.5",
    }
    async with fault_stack(tmp_path_factory.mktemp("dependency"), env) as running:
        yield running


async def metric(url: str, name: str, **labels: str) -> float:
    """One sample of a process; 0 where there is none."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as response:
        text = await response.text()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return 0.0


class Studio:
    """Somebody with an organization and pictures."""

    def __init__(self, caller: Caller, org: str) -> None:
        self.caller = caller
        self.assets = f"/v1/orgs/{org}/assets"

    async def upload(self, color: int) -> Any:
        return await self.caller.send(
            "POST",
            f"{self.assets}?filename={color}.png",
            data=png(color),
            headers={"Content-Type": "image/png", "Prefer": "respond-async"},
        )

    async def all(self) -> list[dict[str, Any]]:
        answer = await self.caller.send("GET", f"{self.assets}?limit=200")
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = answer.body["items"]
        return found


@pytest.mark.parametrize("state", ["refused", pytest.param("silent", marks=pytest.mark.slow)])
async def test_while_the_store_is_away_its_work_waits_uncounted_and_the_rest_goes_on(
    stack: RunningStack, line: Line, state: State
) -> None:
    worker = stack.ops_url("worker-asset")
    asked = {"group": "asset", "type": "asset.asset.process", "kind": "asked"}
    before = await metric(worker, "grid8_retries_total", **asked)
    async with aiohttp.ClientSession() as http, stores_of(stack) as stores:
        caller = await Caller.new(http, stack.gateway_url)
        made = await caller.send("POST", "/v1/orgs", json={"name": "Studio"})
        studio = Studio(caller, made.body["id"])
        # The bytes are there, and what is to be done with them is asked for, before the cut.
        stack.process("worker-asset").signal(signal.SIGSTOP)
        try:
            first = 1 if state == "refused" else 100
            for color in range(first, first + ASSETS):
                assert (await studio.upload(color)).status == 202
            await line.turn(state)
        finally:
            stack.process("worker-asset").signal(signal.SIGCONT)

        async def tried_again() -> Any:
            tries = await metric(worker, "grid8_retries_total", **asked) - before
            opened = await metric(worker, "grid8_breaker_state", circuit="s3") == 2
            return (tries > 3 * ASSETS and opened) or (tries, opened)

        await until(tried_again, "each to have been tried again and again")
        waiting = await stores.redis.xpending_range(SLOW, "asset", "-", "+", 100)
        assert len(waiting) == ASSETS, waiting
        assert {row["times_delivered"] for row in waiting} <= {0, 1}, "waiting is no attempt"

        # Another process that has seen no failure of its own is refused as well.
        async def refused() -> Any:
            answer = await studio.upload(999_000)
            assert answer.status == 503, answer
            assert answer.retry_after, answer
            name = "grid8_breaker_refused_total"
            return await metric(stack.gateway_url, name, circuit="s3") > 0 or answer

        await until(refused, "the gateway to refuse because the breaker is open")
        [opened] = await stores.redis.hmget(BREAKER, ["state"])
        assert opened in (b"opened", b"half-opened")

        # The rest of the domain answers at once, and not with 202 after its patience.
        [asset, *_] = await studio.all()
        for number in range(CHANGES):
            answer = await caller.send(
                "PATCH", f"{studio.assets}/{asset['id']}", json={"tags": [f"t{number}"]}
            )
            assert answer.status == 200, answer
        assert {each["status"] for each in await studio.all()} == {"processing"}

        await line.turn("through")

        async def ready() -> Any:
            found = [each["status"] for each in await studio.all()]
            return set(found) == {"ready"} or found

        await until(ready, "all pictures to be ready")
        assert len(await studio.all()) == ASSETS
        await check_quiet(stores)
        assert not await stores.redis.hget(BREAKER, "state"), "the breaker is closed"
        assert (await studio.upload(first + 50)).status == 202
        assert await metric(stack.gateway_url, "grid8_breaker_state", circuit="s3") == 0

        async def another() -> Any:
            return len(await studio.all()) == ASSETS + 1 and await ready()

        await until(another, "one more picture to be ready")


async def test_failures_are_counted_over_all_processes(stack: RunningStack, line: Line) -> None:
    """Of three failures that open the breaker, no process has seen more than two."""
    async with aiohttp.ClientSession() as http, stores_of(stack) as stores:
        seen = []
        await line.turn("refused")
        try:
            for url in (stack.gateway_url, stack.ops_url("worker-asset")):
                async with http.get(f"{url}/ready") as response:  # which tries twice
                    assert response.status == 503, url
                    assert "127.0.0.1" not in await response.text()
                seen.append(await stores.redis.hmget(BREAKER, ["failures", "state"]))
        finally:
            await line.turn("through")
        assert seen == [[b"2", None], [b"3", b"opened"]]

        async def recovered() -> Any:
            async with http.get(f"{stack.ops_url('worker-asset')}/ready") as response:
                return response.status == 200 or response.status

        await until(recovered, "the breaker to let one through and close")
        assert not await stores.redis.exists(BREAKER)
