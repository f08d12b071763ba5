"""A real Chromium, a page of it for each test, and what went wrong in that page."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pyppeteer import launch
from pyppeteer.browser import Browser
from pyppeteer.page import Page

from infra.embedded.running import RunningStack

CHROMIUM = next(
    filter(
        None,
        map(
            shutil.which,
            ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
        ),
    ),
    None,
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium on this machine: apt-get install chromium"
)

_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

# What a page does that nobody sees: violations of its policy, rejections nobody handled, timers
# that still run.
_WATCH = """() => {
  window.wrong = [];
  addEventListener("securitypolicyviolation", (e) => wrong.push(`policy: ${e.violatedDirective} ${e.blockedURI}`));
  addEventListener("unhandledrejection", (e) => wrong.push(`rejection: ${e.reason}`));
  addEventListener("error", (e) => wrong.push(`error: ${e.message}`));
  const running = (window.timers = new Set());
  const [set, clear] = [setTimeout, clearTimeout];
  window.setTimeout = (work, ...rest) => {
    const id = set((...given) => { running.delete(id); work(...given); }, ...rest);
    running.add(id);
    return id;
  };
  window.clearTimeout = (id) => { running.delete(id); clear(id); };
}"""


class Tab:
    """One page, in a context of its own."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console: list[str] = []
        """Warnings and errors that it logged, and exceptions."""
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.console.append(f"exception: {error}"))

    def _logged(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.console.append(f"{message.type}: {message.text}")

    async def run(self, script: str, *given: Any) -> Any:
        """The value of a function in the page."""
        return await self.page.evaluate(script, *given)

    async def text(self, selector: str) -> str:
        """What is written in an element."""
        script = "(s) => document.querySelector(s)?.innerText ?? ''"
        return str(await self.run(script, selector))

    async def until(
        self, script: str, *given: Any, fits: Callable[[Any], Any] = bool, within: float = 30.0
    ) -> Any:
        """The first value that fits of a function in the page; fails when none does in time."""

        async def now() -> Any:
            return await self.run(script, *given)

        return await until(now, fits, within=within)

    async def wrong(self) -> list[str]:
        """What nobody sees; see above."""
        found: list[str] = await self.run("() => window.wrong")
        return found


async def until(
    what: Callable[[], Awaitable[Any]], fits: Callable[[Any], Any] = bool, *, within: float = 30.0
) -> Any:
    """The first answer that fits; fails when none does in time."""
    deadline = time.monotonic() + within
    while True:
        value = await what()
        if fits(value):
            return value
        assert time.monotonic() < deadline, f"still {str(value)[-3000:]} after {within:g} s"
        await asyncio.sleep(0.05)


@pytest.fixture(scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    started = await launch(
        executablePath=CHROMIUM,
        args=[*_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])],
        userDataDir=str(tmp_path_factory.mktemp("chromium")),
        autoClose=False,
        handleSIGINT=False,
        handleSIGTERM=False,
        handleSIGHUP=False,
    )
    yield started
    await started.close()


@pytest.fixture
async def tab(browser: Browser, stack: RunningStack) -> AsyncIterator[Tab]:
    """At a page of the gateway, which may import its modules and listen to the notifier."""
    async with new_tab(browser, stack) as found:
        yield found


@asynccontextmanager
async def new_tab(browser: Browser, stack: RunningStack) -> AsyncIterator[Tab]:
    """As ``tab``, and as one of another person: they share nothing."""
    context = await browser.createIncognitoBrowserContext()
    page = await context.newPage()
    await page.evaluateOnNewDocument(_WATCH)
    found = Tab(page)
    await page.goto(f"{stack.gateway_url}/live")
    yield found
    await context.close()


async def shoot(tab: Tab, name: str, **viewport: Any) -> None:
    """A picture of the page, where SHOTS_FOLDER names a folder for them."""
    folder = _SHOTS
    if folder:
        if viewport:
            await tab.page.setViewport(viewport)
        Path(folder).mkdir(parents=True, exist_ok=True)
        await tab.page.screenshot(path=f"{folder}/{name}.png", fullPage=True)


_SHOTS = os.environ.get("SHOTS_FOLDER", "")

__all__ = ["browser", "tab"]
