"""The realtime client in Chromium, while nothing is broken."""

from __future__ import annotations

import pytest
from browser import browser, needs_chromium, tab
from browser_client import Client, Home, new_home
from gateway_client import Api, add_member, new_person, new_tenant, sign_in

__all__ = ["browser", "tab"]

pytestmark = needs_chromium

WAYS = pytest.mark.parametrize("transport", ["ws", "sse"])


@pytest.fixture
async def home(api: Api) -> Home:
    return await new_home(api, "Browser")


@pytest.fixture
def client(tab, home: Home) -> Client:  # type: ignore[no-untyped-def]
    return Client(tab, home)


@WAYS
async def test_an_event_arrives(client: Client, home: Home, transport: str) -> None:
    await client.start("org", transport=transport)
    await home.tell([1])
    assert await client.heard(1) == [1]
    [event] = await client.told("event", n=1)
    assert event["cursor"] == await client.tab.run("() => subs.org.cursor")
    states = [each["state"] for each in await client.told("state")]
    assert states == ["connecting", "open"]
    assert client.tab.console == []
    assert await client.tab.wrong() == []


@WAYS
async def test_a_channel_that_is_refused_says_why_and_the_others_go_on(
    client: Client, home: Home, transport: str
) -> None:
    await client.start("org", transport=transport)
    await client.listen("project:prj_of_nobody")
    await client.listen("asset:ast_of_nobody")
    await client.tab.until("() => told.filter(({ what }) => what === 'closed').length === 2")
    closed = await client.told("closed")
    assert {each["channel"] for each in closed} == {"project:prj_of_nobody", "asset:ast_of_nobody"}
    assert all("." in each["code"] for each in closed), closed
    await client.tab.until("() => subs.org.state === 'open'")
    await home.tell([1, 2])
    assert await client.heard(2) == [1, 2]


@WAYS
async def test_each_channel_is_told_what_is_on_it_and_once(
    client: Client, home: Home, transport: str
) -> None:
    owner, path = home.owner.api, f"/v1/orgs/{home.org}"
    brand = (await owner.post(f"{path}/brands", {"name": "Brand"})).json["id"]
    project = (await owner.post(f"{path}/projects", {"name": "One", "brand_id": brand})).json["id"]
    other = (await owner.post(f"{path}/projects", {"name": "Two", "brand_id": brand})).json["id"]
    channel = f"project:{project}"
    await client.start("org", "me", channel, transport=transport)
    for each in (other, project):
        changed = await owner.patch(f"{path}/projects/{each}", {"name": f"Name of {each}"})
        assert changed.status == 200, str(changed)
    await owner.patch("/v1/me", {"name": "Somebody else"})
    await home.tell([1])
    await client.heard(1)
    await client.tab.until(
        "() => told.some(({ channel, what }) => what === 'event' && channel === 'me')"
    )
    types = {
        name: [each["type"] for each in await client.told("event", channel=name)]
        for name in ("org", channel, "me")
    }
    assert types["org"].count("corp.project.updated") == 2, types
    assert types[channel] == ["corp.project.updated"], types
    assert types["me"], types
    assert not [each for each in types["me"] if each.startswith(("corp.project", "custom"))], types


@WAYS
async def test_a_channel_that_is_left_says_no_more_and_can_be_had_again_where_it_was(
    client: Client, home: Home, transport: str
) -> None:
    await client.start("org", "me", transport=transport)
    await home.tell([1])
    await client.heard(1)
    cursor = await client.tab.run("() => { subs.org.unsubscribe(); return subs.org.cursor; }")
    await home.tell([2, 3])
    await client.tab.until("() => subs.me.state === 'open' && rt.state === 'open'")
    await client.listen("org", since=cursor)
    await client.open()
    await home.tell([4])
    assert await client.heard(4, within=10) == [1, 2, 3, 4]


async def test_it_is_left_and_had_again_in_one_breath(client: Client, home: Home) -> None:
    await client.start("org", transport="ws")
    await home.tell([1])
    await client.heard(1)
    await client.tab.run(
        """() => { for (let n = 0; n < 5; n += 1) {
          const since = subs.org.cursor; subs.org.unsubscribe(); listen("org", { since }); } }"""
    )
    await client.open()
    await home.tell([2])
    assert await client.heard(2) == [1, 2]
    assert await client.told("closed") == []


async def test_two_who_listen_to_one_channel_are_one_for_the_server(
    client: Client, home: Home
) -> None:
    await client.start("org", transport="ws")
    await client.tab.run(
        "() => { window.second = []; window.two = rt.subscribe('org', "
        "{ onEvent: ({ event }) => second.push(event.data.n) }); }"
    )
    await home.tell([1])
    await client.heard(1)
    refused = await client.tab.run(
        "() => { try { rt.subscribe('org', { since: 'g4.0-1-1' }) } catch (e) { return e.code } }"
    )
    assert refused == "client.since_taken"
    await client.tab.run("() => subs.org.unsubscribe()")
    await home.tell([2])
    await client.tab.until("() => second.length === 2")
    assert await client.tab.run("() => second") == [1, 2]
    assert await client.ticks() == [1]


@WAYS
async def test_progress_is_told(client: Client, home: Home, transport: str) -> None:
    """A work's progress reaches who listens to its subject."""
    await client.start("org", transport=transport)
    await client.tab.run(
        """() => rt.subscribe("org", { onEvent: ({ event }) => {
          if (event.type === "asset.asset.uploaded") listen(`asset:${event.subject}`); } })"""
    )
    for number in range(3):
        made = await home.owner.api.post(
            f"/v1/orgs/{home.org}/assets?filename=p{number}.png", data=_picture(number)
        )
        assert made.status == 201, str(made)
    await client.tab.until("() => told.some(({ what }) => what === 'progress')", within=60)
    [first, *_] = await client.told("progress")
    assert first["channel"] == f"asset:{first['progress']['subject']}"
    assert first["progress"]["work"] == "asset.processing"


@WAYS
async def test_a_session_that_has_ended_stops_it_and_says_so(
    client: Client, home: Home, transport: str
) -> None:
    await client.start("org", transport=transport)
    session = home.owner.tokens["session_id"]
    assert (await home.owner.api.delete(f"/v1/auth/sessions/{session}")).status == 204
    await client.state("closed")
    [error] = await client.told("error")
    assert error["status"] == 401
    # A gateway may believe in a session for two seconds more, and give tickets that are refused.
    renewals = [each["renew"] for each in await client.told("token")]
    assert renewals[:2] == [False, True], renewals
    assert renewals[-1], renewals
    [closed] = await client.told("closed")
    assert closed == {"what": "closed", "channel": "org", "code": error["code"]}
    again = await client.tab.run("() => { try { listen('me') } catch (e) { return e.code } }")
    assert again == "client.closed"
    assert await client.tab.run("() => [...timers].length") == 0


@WAYS
async def test_with_a_token_of_a_new_session_it_goes_on(
    client: Client, home: Home, transport: str
) -> None:
    fresh = (await sign_in(home.owner.api, home.owner.email)).json["access_token"]
    await client.start("org", transport=transport, renewed=fresh)
    await home.tell([1])
    await client.heard(1)
    session = home.owner.tokens["session_id"]
    assert (await home.owner.api.delete(f"/v1/auth/sessions/{session}")).status == 204
    await client.tab.until("() => told.filter(({ renew }) => renew).length === 1")
    await client.open()
    home.owner.api.token = fresh
    await home.tell([2])
    assert await client.heard(2) == [1, 2]
    assert await client.told("error") == []


async def test_a_token_that_is_refused_is_asked_for_once_more(client: Client, home: Home) -> None:
    good, home.owner.api.token = home.owner.api.token, "nonsense"
    await client.start("org", renewed=good)
    assert [each["renew"] for each in await client.told("token")] == [False, True]


async def test_an_organization_of_others_stops_it_with_the_problem(
    client: Client, api: Api, home: Home
) -> None:
    stranger = await new_person(api, "Stranger")
    home.owner.api.token = stranger.api.token
    await client.start()
    await client.listen("org")
    await client.state("closed")
    [error] = await client.told("error")
    assert error["status"] == 404
    assert (await client.told("closed"))[0]["code"] == error["code"]


@WAYS
async def test_a_membership_that_has_ended_stops_it(
    api: Api, client: Client, transport: str
) -> None:
    tenant = await new_tenant(api, "Browserleft")
    member = await add_member(api, tenant, "viewer")
    client.home = Home(member, tenant.org)
    await client.start("org", transport=transport)
    gone = await tenant.owner.api.delete(f"/v1/orgs/{tenant.org}/members/{member.id}")
    assert gone.status == 204, str(gone)
    await client.state("closed")
    [error] = await client.told("error")
    assert error["code"] in ("client.membership_ended", "organization_not_found") or error[
        "status"
    ] in (403, 404)


def _picture(number: int) -> bytes:
    import pyvips

    noise = pyvips.Image.gaussnoise(1800, 1200, seed=number, mean=128, sigma=40)
    picture: bytes = noise.cast("uchar").pngsave_buffer()
    return picture
