"""A browser that nobody here wrote: its EventSource comes back by itself and misses nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from aiohttp import web
from notifier_stage import USER, Server, Stage
from redis.exceptions import RedisError

from handlers.notifier import sse_peer
from infra.tickets import SSE_PATH
from tests.faults.line import Line

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DEADLINE = 60.0

PAGE = """<!doctype html><title>EventSource</title><script>
let saying = Promise.resolve();
function say(what) {
  saying = saying.then(() => fetch("/heard", {method: "POST", body: JSON.stringify(what)}));
}
const source = new EventSource(new URLSearchParams(location.search).get("url"));
source.onopen = () => say({on: "open"});
source.onerror = () => say({on: "error", state: source.readyState});
for (const type of ["custom.test.counted", "close", "reset"])
  source.addEventListener(type, (event) =>
    say({on: type, data: JSON.parse(event.data), id: event.lastEventId}));
</script>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


class Page:
    """Serves a page to Chromium, and hears what the page is told."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.url = ""

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Page]:
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_post("/heard", self._hear)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    @asynccontextmanager
    async def shown(self, source: str, folder: Path) -> AsyncIterator[None]:
        """Open the page with an EventSource of this address."""
        assert CHROMIUM is not None
        process = await asyncio.create_subprocess_exec(
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", f"--user-data-dir={folder}",
            f"{self.url}/?url={quote(source, safe='')}",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            await process.wait()

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _hear(self, request: web.Request) -> web.Response:
        self.heard.put_nowait(await request.json())
        return web.Response()

    async def event(self, *wanted: str) -> dict[str, Any]:
        """The next thing heard of these kinds."""
        passed = []
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    heard = await self.heard.get()
                    if heard["on"] in wanted:
                        return heard
                    passed.append(heard)
        except TimeoutError:
            pytest.fail(f"the page did not say {wanted}, but {passed}")


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with Page().served() as served:
        yield served


@pytest.fixture
async def stage(
    flushed: Server, page: Page, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setattr(sse_peer, "RETRY_MS", 200)
    stage = Stage(flushed)
    stage.origins = [page.url]
    await stage.add(heartbeat=0.5)
    yield stage
    await stage.close()


@pytest.fixture
async def line(stage: Stage) -> AsyncIterator[Line]:
    parts = urlsplit(stage.urls[0])
    line = Line(str(parts.hostname), int(parts.port or 0))
    await line.turn("through")
    yield line
    await line.close()


async def test_chromium_comes_back_until_it_is_told_to_stop(
    stage: Stage, line: Line, page: Page, tmp_path: Path
) -> None:
    query = f"?ticket={await stage.ticket()}&channel=org"
    numbers = []

    async def counted() -> dict[str, Any]:
        heard = await page.event("custom.test.counted", "reset")
        assert heard["on"] == "custom.test.counted"
        numbers.append(heard["data"]["data"]["n"])
        return heard

    async with page.shown(line.url + SSE_PATH + query, tmp_path):
        await page.event("open")
        await stage.custom(0)
        assert "~" in (await counted())["id"]

        # The line breaks, and there is none for a while.
        for number in (1, 2):
            await line.turn("refused")
            assert (await page.event("error"))["state"] == 0
            await stage.custom(number)
            await line.turn("through")
            await page.event("open")
            await counted()

        # The notifier can admit nobody for a while.
        stage.fails_with = RedisError("away")
        await line.turn("through")
        for _ in range(2):
            assert (await page.event("close"))["data"]["code"] == 1013
        await stage.custom(3)
        stage.fails_with = None
        await counted()
        assert numbers == [0, 1, 2, 3]

        # The session has ended: that is for good.
        await stage.sessions.revoke(await stage.session(), USER)
        assert (await page.event("close"))["data"]["code"] == 4001
        while (await page.event("error"))["state"] != 2:
            pass
