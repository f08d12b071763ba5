"""Who is there, as browsers of several people see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from browser import Tab, browser, needs_chromium, new_tab, tab
from browser_client import Client, Home, new_home
from gateway_client import Api, Person, add_member, new_person, new_tenant

from infra.embedded.running import RunningStack

__all__ = ["browser", "tab"]

pytestmark = needs_chromium

WAYS = pytest.mark.parametrize("transport", ["ws", "sse"])

WATCH = """(channel) => {
  window.who = null; window.came = []; window.went = []; window.unknown = [];
  window.watching = rt.presence(channel, {
    onMembers: (members, total) => { who = members.map(({ id }) => id).sort(); window.total = total; },
    onJoined: ({ id }) => came.push(id), onLeft: ({ id }) => went.push(id),
    onUnavailable: (code) => unknown.push(code) });
}"""


@pytest.fixture
async def other_tab(browser: Any, stack: RunningStack) -> AsyncIterator[Tab]:
    async with new_tab(browser, stack) as found:
        yield found


async def colleagues(api: Api) -> tuple[str, Person, Person]:
    """An organization, its owner and another member of it."""
    tenant = await new_tenant(api, "Present")
    return tenant.org, tenant.owner, await add_member(api, tenant, "editor")


async def sees(client: Client, *people: str) -> None:
    """Wait until exactly these are there."""
    await client.tab.until("() => who", fits=lambda who: who == sorted(people))
    assert await client.tab.run("() => total") == len(people)
    assert await client.tab.run("() => watching.members.map(({ id }) => id).sort()") == sorted(
        people
    )


@WAYS
async def test_who_comes_and_goes_is_told_to_who_watches(
    api: Api, tab: Tab, other_tab: Tab, transport: str
) -> None:
    org, owner, editor = await colleagues(api)
    one, two = Client(tab, Home(owner, org)), Client(other_tab, Home(editor, org))
    await one.start("org", transport=transport)
    await one.tab.run(WATCH, "org")
    await sees(one, owner.id)
    await two.start("org", transport=transport)
    await sees(one, owner.id, editor.id)
    assert await one.tab.run("() => came") == [editor.id]
    await two.tab.run(WATCH, "org")
    await sees(two, owner.id, editor.id)
    await two.tab.run("() => rt.close()")
    await sees(one, owner.id)
    assert await one.tab.run("() => went") == [editor.id]
    # Nothing was missing or doubled beside it.
    await one.home.tell([1, 2])
    assert await one.heard(2) == [1, 2]
    assert await tab.wrong() == await other_tab.wrong() == []


async def test_by_websocket_and_by_stream_they_see_each_other(
    api: Api, tab: Tab, other_tab: Tab
) -> None:
    org, owner, editor = await colleagues(api)
    one, two = Client(tab, Home(owner, org)), Client(other_tab, Home(editor, org))
    for client, transport in ((one, "ws"), (two, "sse")):
        await client.start("org", transport=transport)
        await client.tab.run(WATCH, "org")
    await sees(one, owner.id, editor.id)
    await sees(two, owner.id, editor.id)
    await other_tab.page.close()
    await sees(one, owner.id)


@WAYS
async def test_who_watches_no_longer_hears_no_more_of_it(
    api: Api, tab: Tab, other_tab: Tab, transport: str
) -> None:
    org, owner, editor = await colleagues(api)
    one, two = Client(tab, Home(owner, org)), Client(other_tab, Home(editor, org))
    await one.start("org", transport=transport)
    await one.tab.run(WATCH, "org")
    await sees(one, owner.id)
    await one.tab.run("() => watching.stop()")
    await two.start("org", transport="ws")
    await two.tab.run(WATCH, "org")
    await sees(two, owner.id, editor.id)
    assert await one.tab.run("() => who") == [owner.id]
    await one.tab.run(WATCH, "org")
    await sees(one, owner.id, editor.id)


@WAYS
async def test_after_the_line_was_lost_it_is_told_anew_and_nobody_has_left(
    api: Api, tab: Tab, stack: RunningStack, transport: str
) -> None:
    home = await new_home(api, "Presentagain")
    client = Client(tab, home)
    await client.start("org", transport=transport)
    await client.tab.run(WATCH, "org")
    await sees(client, home.owner.id)
    await stack.hold("notifier")
    await client.state("waiting", "connecting")
    await client.tab.run("() => { who = null; }")
    await stack.release("notifier")
    await sees(client, home.owner.id)
    assert await client.tab.run("() => went") == []


@WAYS
async def test_of_a_channel_that_is_ones_own_nobody_can_be_told(
    api: Api, tab: Tab, transport: str
) -> None:
    home = await new_home(api, "Alone")
    client = Client(tab, home)
    await client.start("org", transport=transport)
    await client.tab.run(WATCH, "me")
    unknown = await client.tab.until("() => unknown.length && unknown")
    assert set(unknown) == {"realtime.presence_unknown"}
    await home.tell([1])
    assert await client.heard(1) == [1]
    stranger = await new_person(api, "Strangerhere")
    other = Client(tab, Home(stranger, home.org))
    await other.start(transport=transport)
    await tab.run(WATCH, "org")
    await other.state("closed")
    assert await tab.run("() => unknown.length") == 1
