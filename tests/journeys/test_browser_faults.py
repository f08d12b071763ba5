"""The realtime client in Chromium, while things break: no gap, nothing twice, the same order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import Tab, browser, needs_chromium, tab
from browser_client import Client, Home, new_home
from gateway_client import Api
from gateway_stack import eventually
from own_gateway import own_gateway
from redis.asyncio import Redis

from bus import streams
from infra.embedded.layout import ROOT
from infra.embedded.ports import free_port
from infra.embedded.probes import http_ready
from infra.embedded.running import RunningStack

__all__ = ["browser", "tab"]

pytestmark = needs_chromium

WAYS = pytest.mark.parametrize("transport", ["ws", "sse"])
SHARDS = 4


@pytest.fixture
async def home(api: Api) -> Home:
    return await new_home(api, "Broken")


@pytest.fixture
def client(tab: Tab, home: Home) -> Client:
    return Client(tab, home)


@asynccontextmanager
async def telling(home: Home) -> AsyncIterator[list[int]]:
    """Events go on, one after the other, until the block ends; the numbers that were told."""
    told: list[int] = []

    async def tell() -> None:
        while True:
            await home.tell([len(told)])
            told.append(len(told))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(tell())
    try:
        yield told
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def pushed(stack: RunningStack, home: Home) -> list[str]:
    """Ids of the organization's events in the order in which notifiers push them."""
    async with Redis.from_url(stack.redis_url) as redis:
        entries = await redis.xrange(streams.push(streams.shard_of(home.org, SHARDS)))
    address = streams.address_of(home.org, "org").encode()
    found = [fields[b"id"].decode() for _, fields in entries if address in fields[b"to"].split()]
    return list(dict.fromkeys(found))


async def check_all_came(client: Client, stack: RunningStack, numbers: list[int]) -> None:
    """Each number once, in the order of the push stream."""
    heard = await client.heard(len(numbers))
    assert sorted(heard) == numbers
    told = [each["id"] for each in await client.told("event", channel="org")]
    order = [each for each in await pushed(stack, client.home) if each in set(told)]
    assert told == order
    assert await client.told("reset") == []


@pytest.mark.slow
@WAYS
async def test_a_notifier_that_is_killed_costs_no_event(
    client: Client, home: Home, stack: RunningStack, transport: str
) -> None:
    await client.start("org", transport=transport)
    async with telling(home) as told:
        for _ in range(2):
            await client.heard(len(told) + 5)
            stack.kill("notifier", signal.SIGKILL)
            await client.state("waiting", "connecting")
            await stack.restarted("notifier")
            await client.open()
        await client.heard(len(told) + 5)
    numbers = list(range(len(told) + 1))
    # Whether the last request had come to its end nobody here knows.
    await home.tell(numbers[-1:])
    await check_all_came(client, stack, numbers)
    assert await client.tab.wrong() == []


@WAYS
async def test_what_is_lost_is_said_and_the_next_is_whole(
    client: Client, home: Home, transport: str
) -> None:
    """A cursor of 1970: nothing is kept for so long."""
    await client.start(transport=transport)
    await client.listen("org", since=f"g{SHARDS}.{streams.shard_of(home.org, SHARDS)}-1000-0")
    await client.open()
    await client.tab.until("() => told.some(({ what }) => what === 'reset')")
    await home.tell([1])
    assert await client.heard(1) == [1]
    assert await client.told("reset") == [{"what": "reset", "channel": "org"}]


async def test_a_cursor_that_is_none_is_a_reset(client: Client, home: Home) -> None:
    for transport in ("ws", "sse"):
        await client.start(transport=transport)
        await client.listen("org", since="nonsense")
        await client.open()
        assert await client.told("reset") == [{"what": "reset", "channel": "org"}]
        await client.tab.run("() => rt.close()")


async def test_a_browser_that_goes_offline_goes_on_where_it_was(
    client: Client, home: Home, stack: RunningStack
) -> None:
    await client.start(
        "org",
        timing={
            "pingAfter": 300,
            "answerWithin": 700,
            "backoffLimit": 60_000,
            "backoffBase": 60_000,
        },
    )
    await home.tell([1])
    await client.heard(1)
    await client.tab.page.setOfflineMode(True)
    await client.tab.run("() => dispatchEvent(new Event('online'))")  # so that it looks at once
    # Chromium leaves a socket that is open alone: the line is cut as a sleeping machine's is.
    stack.kill("notifier", signal.SIGKILL)
    await client.state("waiting")
    await stack.restarted("notifier")
    await home.tell([2])
    assert await client.ticks() == [1]
    assert await client.tab.run("() => navigator.onLine") is False
    # The pause is a minute at most: only `online` can be why it is shorter.
    await client.tab.page.setOfflineMode(False)
    await client.state("open", within=10)
    await home.tell([3])
    assert await client.heard(3) == [1, 2, 3]


@WAYS
async def test_a_line_that_says_nothing_is_given_up(
    client: Client, home: Home, stack: RunningStack, transport: str
) -> None:
    """As after a sleep: the connection is there, and nobody at its other end."""
    timing = {"pingAfter": 200, "answerWithin": 1500, "streamSilence": 3000}
    await client.start("org", transport=transport, timing=timing)
    await home.tell([1])
    await client.heard(1)
    stack.kill("notifier", signal.SIGSTOP)
    try:
        await client.state("waiting", "connecting")
    finally:
        stack.kill("notifier", signal.SIGCONT)
    await client.open()
    await home.tell([2])
    assert await client.heard(2) == [1, 2]
    lost = [each["code"] for each in await client.told("state", state="waiting")]
    assert lost[0] == "client.connection_lost"


@asynccontextmanager
async def strict_notifier(stack: RunningStack, log: Path) -> AsyncIterator[str]:
    """One more notifier, which bears hardly any delay; its URL."""
    port = free_port()
    env = {
        **stack.env,
        "GRID8_NOTIFIER__PORT": str(port),
        "GRID8_NOTIFIER__QUEUE_LIMIT": "8",
        "GRID8_OPS__PORT": "-1",
    }
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "handlers", "notifier", env=env, cwd=ROOT, stdout=out, stderr=out
        )
    ready = http_ready("127.0.0.1", port)

    async def answers() -> bool:
        with contextlib.suppress(OSError):
            return await ready()
        return False

    try:
        await eventually(answers, within=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.slow
async def test_a_tab_that_stands_still_is_cut_and_misses_nothing(
    client: Client, home: Home, stack: RunningStack, tmp_path: Path
) -> None:
    count, batch = 360, 18
    async with (
        strict_notifier(stack, tmp_path / "notifier.log") as url,
        own_gateway(
            stack,
            tmp_path / "gateway.log",
            GRID8_NOTIFIER__PUBLIC_URL=url,
            GRID8_GATEWAY__CORS_ORIGINS=stack.gateway_url,
        ) as (_, port),
    ):
        # A page of the gateway may listen to its own notifier, and this is another.
        await client.tab.page.setBypassCSP(True)
        await client.tab.page.reload()
        await client.start("org", transport="ws", api=f"http://127.0.0.1:{port}")

        async def stand() -> Any:
            return await client.tab.run(
                "() => { const end = Date.now() + 12000; while (Date.now() < end) { /* busy */ } }"
            )

        standing = asyncio.create_task(stand())
        for first in range(0, count, batch):
            await home.tell(range(first, first + batch), pad=50_000)
        await standing
        await check_all_came(client, stack, list(range(count)))
        codes = {each["code"] for each in await client.told("state")}
        # 4008, or nothing at all where the tab did not even read that in time.
        assert codes & {"client.too_slow", "client.connection_lost"}, codes


async def test_a_thousand_events_leave_nothing_behind(client: Client, home: Home) -> None:
    async def listeners() -> int:
        await client.tab.run("() => { told.length = 0; }")
        devtools = await client.tab.page.target.createCDPSession()
        await devtools.send("HeapProfiler.collectGarbage")
        metrics = await client.tab.page.metrics()
        return int(metrics["JSEventListeners"])

    await client.start("org", transport="ws")
    await home.tell(range(50))
    await client.heard(50)
    before = await listeners()
    for first in range(50, 1050, 250):
        await home.tell(range(first, first + 250))
    await client.heard(1000)
    assert await client.ticks() == list(range(50, 1050))
    assert await listeners() <= before
    for _ in range(5):
        await client.tab.run("() => { rt.close(); }")
        await client.start("org", transport="ws")
    assert await listeners() <= before
    await client.tab.run("() => { rt.close(); }")
    assert await listeners() < before
    assert await client.tab.run("() => [...timers].length") == 0
    assert await client.tab.wrong() == []
