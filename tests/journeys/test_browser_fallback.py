"""The realtime client in Chromium, behind a proxy that lets no WebSocket through."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser import Tab, browser, needs_chromium, tab
from browser_client import Client, Home, new_home
from gateway_client import Api
from own_gateway import own_gateway
from test_browser_faults import check_all_came, telling

from infra.embedded.running import RunningStack

__all__ = ["browser", "tab"]

pytestmark = needs_chromium


@dataclass
class Proxy:
    """A TCP proxy of one server; it reads no more than the head of what it passes on."""

    target: tuple[str, int]
    refuses: str | None = "403 Forbidden"
    """How it answers a WebSocket's handshake; None lets it through."""
    refused: int = 0
    refuses_streams: str | None = None
    """How it answers an event stream's request."""
    streams: int = 0
    """Requests of event streams."""
    port: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """End all connections."""
        for task in tuple(self.tasks):
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._pass(reader, writer)
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if self.refuses is not None and b"upgrade: websocket" in head.lower():
            self.refused += 1
            writer.write(f"HTTP/1.1 {self.refuses}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        if b"/realtime/sse" in head:
            self.streams += 1
            if self.refuses_streams is not None:
                answer = f"HTTP/1.1 {self.refuses_streams}\r\nContent-Length: 0\r\n\r\n"
                writer.write(answer.encode())
                await writer.drain()
                return
        there, back = await asyncio.open_connection(*self.target)
        back.write(head)
        ways = [asyncio.create_task(_pump(reader, back)), asyncio.create_task(_pump(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            back.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@pytest.fixture
async def proxy(stack: RunningStack) -> AsyncIterator[Proxy]:
    url = urlsplit(stack.notifier_url)
    assert url.hostname is not None
    assert url.port is not None
    async with Proxy((url.hostname, url.port)).running() as found:
        yield found


@pytest.fixture
async def behind(stack: RunningStack, proxy: Proxy, tmp_path: Path) -> AsyncIterator[str]:
    """A gateway whose clients are sent to the proxy, and which pages of the other may ask."""
    async with own_gateway(
        stack,
        tmp_path / "gateway.log",
        GRID8_NOTIFIER__PUBLIC_URL=f"http://127.0.0.1:{proxy.port}",
        GRID8_GATEWAY__CORS_ORIGINS=stack.gateway_url,
    ) as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def client(api: Api, tab: Tab) -> Client:
    # The policy of the page is about the notifier, and not about the proxy.
    await tab.page.setBypassCSP(True)
    await tab.page.reload()
    return Client(tab, await new_home(api, "Blocked"))


@pytest.mark.slow
async def test_without_a_websocket_it_has_the_same_events_by_a_stream(
    client: Client, proxy: Proxy, behind: str, stack: RunningStack
) -> None:
    home: Home = client.home
    await client.start("org", api=behind)
    assert await client.tab.run("() => rt.transport") == "sse"
    assert proxy.refused == 2
    async with telling(home) as told:
        for _ in range(2):
            await client.heard(len(told) + 5)
            stack.kill("notifier", signal.SIGKILL)
            await client.state("waiting", "connecting")
            await stack.restarted("notifier")
            await client.open()
        await client.heard(len(told) + 5)
    numbers = list(range(len(told) + 1))
    await home.tell(numbers[-1:])
    await check_all_came(client, stack, numbers)
    assert await client.tab.run("() => rt.transport") == "sse"
    assert proxy.refused == 2, "it remembers that a WebSocket is of no use here"


async def test_later_it_tries_a_websocket_again(
    client: Client, proxy: Proxy, behind: str, stack: RunningStack
) -> None:
    home: Home = client.home
    await client.start("org", api=behind, timing={"socketAgain": 1500})
    assert await client.tab.run("() => rt.transport") == "sse"
    async with telling(home) as told:
        # Still blocked: it tries once, and goes on with a stream.
        await client.tab.until(
            "() => told.filter(({ state, transport }) => state === 'open' && transport === 'sse').length === 2"
        )
        assert proxy.refused == 3
        proxy.refuses = None
        await client.tab.until("() => rt.state === 'open' && rt.transport === 'ws'")
        await client.heard(len(told) + 5)
    numbers = list(range(len(told) + 1))
    await home.tell(numbers[-1:])
    await check_all_came(client, stack, numbers)


async def test_a_notifier_that_is_away_is_no_reason_to_leave_websockets_for_good(
    client: Client, behind: str, proxy: Proxy, stack: RunningStack
) -> None:
    proxy.refuses = None
    await client.start("org", api=behind)
    await client.home.tell([1])
    await client.heard(1)
    await stack.hold("notifier")
    await client.state("waiting")
    await stack.release("notifier")
    # It may have been the turn of a stream when it came back; that is not for long.
    await client.tab.until("() => rt.state === 'open' && rt.transport === 'ws'", within=15)
    await client.open()
    await client.home.tell([2])
    assert await client.heard(2) == [1, 2]


async def test_in_a_worker_it_is_the_same(client: Client) -> None:
    """A module worker has neither window nor document."""
    home = client.home
    await client.tab.run(
        """(given) => {
          const code = `
            import { Realtime } from "${given.api}/web/realtime.js";
            const rt = new Realtime({ api: "${given.api}", org: "${given.org}", token: () => "${given.token}" });
            rt.subscribe("org", { onEvent: ({ event }) => postMessage(event.data.n),
              onState: (state) => postMessage(state) });`;
          window.said = [];
          const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
          window.worker = new Worker(url, { type: "module" });
          worker.onmessage = ({ data }) => said.push(data);
          worker.onerror = (event) => said.push(event.message);
        }""",
        {"api": home.owner.api.base, "org": home.org, "token": home.owner.api.token},
    )
    await client.tab.until("() => said", fits=lambda said: "open" in said)
    await home.tell([7])
    await client.tab.until("() => said.at(-1) === 7")
