"""/live in Chromium, as a person uses it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import pyvips
from browser import Tab, browser, needs_chromium, shoot, tab, until
from browser_client import Home, new_home
from gateway_client import PASSWORD, Api, Person, new_person

from infra.embedded.running import RunningStack

__all__ = ["browser", "tab"]

pytestmark = needs_chromium

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2}


@pytest.fixture
async def home(api: Api) -> Home:
    return await new_home(api, "Ann")


async def fill(tab: Tab, **fields: str) -> None:
    for name, value in fields.items():
        await tab.page.click(f"#{name}", clickCount=3)
        await tab.page.keyboard.type(value)


async def sign_in(tab: Tab, person: Person, password: str = PASSWORD) -> None:
    await tab.page.waitForSelector("#email", visible=True)
    await fill(tab, email=person.email, password=password)
    await tab.page.keyboard.press("Enter")


async def shows(tab: Tab, selector: str, *words: str, within: float = 20.0) -> str:
    """Wait until all the words are written in an element; its text."""
    text: str = await tab.until(
        "(s) => [...document.querySelectorAll(s)].map((e) => e.innerText).join('\\n')",
        selector,
        fits=lambda text: all(word in text for word in words),
        within=within,
    )
    return text


async def rows(tab: Tab) -> list[str]:
    script = "() => [...document.querySelectorAll('#list > li:not([hidden]) .type')].map((e) => e.innerText)"
    found: list[str] = await tab.run(script)
    return found


async def check_width(tab: Tab) -> None:
    """Nothing is wider than the screen."""
    wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await tab.run(wide) <= 0


async def test_a_person_signs_in_and_sees_what_happens(tab: Tab, home: Home) -> None:
    await tab.page.setViewport(DESKTOP)
    second = (await home.owner.api.post("/v1/orgs", {"name": "Another house"})).json["id"]
    await shoot(tab, "desktop-1-door")
    await sign_in(tab, home.owner)
    await shows(tab, "#state", "Live, by WebSocket")
    names = await tab.run("() => [...document.querySelectorAll('#org option')].map((e) => e.text)")
    assert set(names) == {"Ann org", "Another house"}
    await tab.page.select("#org", home.org)
    await shows(tab, "#empty", "Nothing has happened", "Ann org")
    await shows(tab, "#state", "Live")
    await shoot(tab, "desktop-2-empty")
    brand = await home.owner.api.post(f"/v1/orgs/{home.org}/brands", {"name": "Sunrise"})
    assert brand.status == 201
    await home.tell([1])
    text = await shows(tab, "#list", "corp.brand.created", "custom.tick")
    assert brand.json["id"] in text
    await shows(tab, "#list .who", "Ann")
    assert (await tab.text("#count")) == "2"
    await home.owner.api.post(f"/v1/orgs/{second}/brands", {"name": "Elsewhere"})

    await fill(tab, filter="brand")
    assert await rows(tab) == ["corp.brand.created"]
    assert await tab.text("#count") == "1 of 2"
    await fill(tab, filter="nothing of the kind")
    await shows(tab, "#empty", "None of these 2")
    await shoot(tab, "desktop-3-filtered-away")
    await tab.page.click("#filter", clickCount=3)
    await tab.page.keyboard.press("Backspace")

    await tab.page.click("#pause")
    await home.tell([2, 3])
    await shows(tab, "#notice", "Paused. 2 events new.")
    assert len(await rows(tab)) == 2
    await tab.page.click("#pause")
    await tab.until("() => document.querySelectorAll('#list > li').length", fits=lambda n: n == 4)
    await tab.page.click("#list > li summary")
    await shows(tab, "#list pre", '"specversion": "1.0"')
    await shoot(tab, "desktop-4-events")
    devtools = await tab.page.target.createCDPSession()
    for scheme in ("dark", "light"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await devtools.send("Emulation.setEmulatedMedia", {"features": [feature]})
        await shoot(tab, f"desktop-4-events-{scheme}")
    await tab.page.click("#clear")
    await shows(tab, "#empty", "Nothing has happened")

    picture = pyvips.Image.gaussnoise(3000, 2000, seed=5, mean=128, sigma=40).cast("uchar")
    for number in range(4):
        made = await home.owner.api.post(
            f"/v1/orgs/{home.org}/assets?filename=photo-{number}.png",
            data=picture.linear(1, number).cast("uchar").pngsave_buffer(),
        )
        assert made.status == 201, str(made)
    await tab.until("() => document.querySelectorAll('#work progress').length", within=60)
    await shoot(tab, "desktop-5-work")
    await shows(tab, "#list", "asset.asset.ready", within=60)
    assert tab.console == []
    assert await tab.wrong() == []

    await tab.page.click("#leave")
    await tab.page.waitForSelector("#email", visible=True)
    assert await tab.run("() => document.querySelector('#password').value") == ""

    async def sessions() -> Any:
        return (await home.owner.api.get("/v1/auth/sessions")).json["items"]

    await until(sessions, lambda items: len(items) == 1)  # that of the page has ended


async def test_what_does_not_work_is_said(tab: Tab, home: Home, api: Api) -> None:
    await tab.page.setViewport(DESKTOP)
    await sign_in(tab, home.owner, "not the right words")
    said = await shows(tab, "#said", ".")
    assert "e-mail" in said.lower() or "password" in said.lower(), said
    await shoot(tab, "desktop-6-refused")
    await tab.page.click("details summary")
    await fill(tab, token="g8k_nonsense")
    await tab.page.keyboard.press("Enter")
    await tab.until("(old) => document.querySelector('#said').innerText !== old", said)
    assert await tab.run("() => !document.querySelector('#door').hidden")
    nobody = await new_person(api, "Nobody yet")
    await sign_in(tab, nobody)
    await shows(tab, "#empty", "You belong to no organization yet")
    await shoot(tab, "desktop-7-no-organization")
    assert await tab.wrong() == []


async def test_a_key_is_as_good_as_a_session(tab: Tab, home: Home) -> None:
    key = await home.owner.api.post(
        f"/v1/orgs/{home.org}/api-keys",
        {"name": "watcher", "scopes": ["realtime:subscribe", "organization:read"]},
    )
    assert key.status == 201, str(key)
    await tab.page.click("details summary")
    await fill(tab, token=key.json["key"])
    await tab.page.keyboard.press("Enter")
    await shows(tab, "#said", "This is an API key")
    await shoot(tab, "desktop-a-key")
    await tab.page.keyboard.type(home.org)
    await tab.page.keyboard.press("Enter")
    await shows(tab, "#state", "Live")
    await home.tell([1])
    await shows(tab, "#list", "custom.tick")
    assert await tab.wrong() == []


async def test_a_connection_that_is_lost_and_a_session_that_has_ended_are_said(
    tab: Tab, home: Home, stack: RunningStack
) -> None:
    await tab.page.setViewport(DESKTOP)
    await sign_in(tab, home.owner)
    await shows(tab, "#state", "Live")
    await home.tell([1])
    await shows(tab, "#list", "custom.tick")
    await stack.hold("notifier")
    try:
        await shows(tab, "#state", "Not connected; trying again", " in ")
        await shoot(tab, "desktop-8-waiting")
        await home.tell([2])
    finally:
        await stack.release("notifier")
    with contextlib.suppress(Exception):
        await tab.page.click("#again")
    await shows(tab, "#state", "Live", within=40)
    await tab.until("() => document.querySelectorAll('#list > li').length", fits=lambda n: n == 2)
    assert (await home.owner.api.delete("/v1/auth/sessions")).status in (200, 204)
    await shows(tab, "#said", "Your session has ended.", "sign in again")
    assert await tab.run("() => !document.querySelector('#door').hidden")
    await shoot(tab, "desktop-9-signed-out")
    assert await tab.wrong() == []


async def test_it_can_be_read_on_a_phone_and_used_by_keyboard_alone(tab: Tab, home: Home) -> None:
    await tab.page.setViewport(PHONE)
    await check_width(tab)
    await shoot(tab, "phone-1-door")
    await tab.page.focus("#email")
    await tab.page.keyboard.type(home.owner.email)
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.type(PASSWORD)
    await tab.page.keyboard.press("Enter")
    await shows(tab, "#state", "Live")
    await home.owner.api.post(f"/v1/orgs/{home.org}/brands", {"name": "Sunrise"})
    await home.tell([1, 2])
    await shows(tab, "#list", "corp.brand.created", "custom.tick")
    await fill(tab, channel="project:prj_of_nobody")
    await tab.page.keyboard.press("Enter")
    await shows(tab, "#said", "project:prj_of_nobody cannot be watched")
    await check_width(tab)
    await shoot(tab, "phone-2-events")
    await tab.page.focus("#filter")
    for expected in ("pause", "clear"):
        await tab.page.keyboard.press("Tab")
        assert await tab.run("() => document.activeElement.id") == expected
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.press("Enter")
    await shows(tab, "#list pre", "specversion")
    await check_width(tab)
    await shoot(tab, "phone-3-open")
    devtools = await tab.page.target.createCDPSession()
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    await devtools.send("Emulation.setEmulatedMedia", dark)
    await shoot(tab, "phone-4-dark")
    assert await tab.wrong() == []
