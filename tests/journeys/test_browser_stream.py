"""The realtime client by an event stream in Chromium: what the browser does by itself, and what not."""

from __future__ import annotations

from browser import browser, needs_chromium, tab
from browser_client import Client
from test_browser_fallback import Proxy, behind, client, proxy
from test_browser_faults import check_all_came, telling

from infra.embedded.running import RunningStack

__all__ = ["behind", "browser", "client", "proxy", "tab"]

pytestmark = needs_chromium


async def tickets(client: Client) -> int:
    """How often a ticket was asked for."""
    return len(await client.told("token"))


async def test_one_stream_serves_every_channel(client: Client, proxy: Proxy, behind: str) -> None:
    await client.start(api=behind, transport="sse")
    await client.tab.run("() => { for (const name of ['org', 'me', 'asset:none']) listen(name); }")
    await client.tab.until("() => subs.org.state === 'open' && subs.me.state === 'open'")
    await client.tab.until("() => subs['asset:none'].state === 'closed'")
    await client.home.tell([1])
    assert await client.heard(1) == [1]
    assert (await tickets(client), proxy.streams) == (1, 1)


async def test_the_browser_comes_back_by_itself_and_nothing_is_missing(
    client: Client, proxy: Proxy, behind: str, stack: RunningStack
) -> None:
    await client.start("org", "me", api=behind, transport="sse")
    asked, streams = await tickets(client), proxy.streams
    async with telling(client.home) as told:
        for count in (1, 2):
            await client.heard(len(told) + 5)
            proxy.cut()
            await client.state("connecting")
            await client.open()
            assert proxy.streams == streams + count
        await client.heard(len(told) + 5)
    numbers = list(range(len(told) + 1))
    await client.home.tell(numbers[-1:])
    await check_all_came(client, stack, numbers)
    assert await tickets(client) == asked
    assert await client.tab.wrong() == []


async def test_where_the_browser_gives_up_another_ticket_is_asked_for(
    client: Client, proxy: Proxy, behind: str, stack: RunningStack
) -> None:
    await client.start("org", "me", api=behind, transport="sse")
    asked = await tickets(client)
    async with telling(client.home) as told:
        await client.heard(len(told) + 5)
        # After any answer but 200 an EventSource stops for good, and says no more than that.
        proxy.refuses_streams = "403 Forbidden"
        proxy.cut()
        await client.state("waiting")
        proxy.refuses_streams = None
        await client.open()
        assert await tickets(client) > asked
        await client.heard(len(told) + 5)
    numbers = list(range(len(told) + 1))
    await client.home.tell(numbers[-1:])
    await check_all_came(client, stack, numbers)
    codes = {each["code"] for each in await client.told("state", state="waiting")}
    assert codes == {"client.connection_lost"}


async def test_a_stream_of_which_nothing_is_left_is_not_opened_again(
    client: Client, proxy: Proxy, behind: str
) -> None:
    await client.start(api=behind, transport="sse")
    await client.listen("asset:none")
    await client.state("idle")
    [closed] = await client.told("closed")
    assert closed["channel"] == "asset:none"
    assert await client.told("error") == []
    assert (await tickets(client), proxy.streams) == (1, 1)
    await client.listen("org")
    await client.tab.until("() => subs.org.state === 'open'")
    await client.home.tell([1])
    assert await client.heard(1) == [1]
