"""Who listens to a channel, asked over HTTP by those who may listen to it too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from gateway_client import Answer, Api, Tenant, add_member
from gateway_stack import eventually


@asynccontextmanager
async def listening(
    http: aiohttp.ClientSession, api: Api, org: str, channel: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    ticket = (await api.post(f"/v1/orgs/{org}/realtime/tickets")).json
    async with http.ws_connect(f"{ticket['ws_url']}?ticket={ticket['ticket']}") as socket:
        await socket.send_json({"op": "subscribe", "channel": channel})
        assert (await socket.receive_json(timeout=10))["op"] == "subscribed"
        yield socket


def users(answer: Answer) -> set[str]:
    assert answer.status == 200, str(answer)
    return {each["user"] for each in answer.json["members"]}


async def test_who_is_on_a_channel_is_listed_until_they_have_left(
    api: Api, http: aiohttp.ClientSession, alpha: Tenant
) -> None:
    viewer = await add_member(api, alpha, "viewer")
    channel = f"project:{alpha.project}"
    path = f"/v1/orgs/{alpha.org}/presence?channel={channel}"
    asked = alpha.owner.api
    assert (await asked.get(path)).json == {"channel": channel, "total": 0, "members": []}
    async with (
        listening(http, viewer.api, alpha.org, channel),
        listening(http, viewer.api, alpha.org, channel),
    ):
        answer = await eventually(
            lambda: asked.get(path),
            lambda got: bool(got.json["members"]) and got.json["members"][0]["connections"] == 2,
        )
        assert users(answer) == {viewer.id}
        assert answer.json["total"] == 1
        assert answer.json["members"][0]["since"].endswith("Z")
    await eventually(lambda: asked.get(path), lambda got: not got.json["members"])


async def test_presence_is_for_those_who_may_listen(api: Api, alpha: Tenant, beta: Tenant) -> None:
    path = f"/v1/orgs/{alpha.org}/presence"
    mine = alpha.owner.api
    (await mine.get(path)).is_problem(422)
    (await mine.get(f"{path}?channel=nothing")).is_problem(404)
    (await mine.get(f"{path}?channel=project:{beta.project}")).is_problem(404)
    refused = (await mine.get(f"{path}?channel=me")).is_problem(404)
    assert refused["code"] == "realtime.presence_unknown"
    (await beta.owner.api.get(f"{path}?channel=org")).is_problem(404)
    (await api.get(f"{path}?channel=org")).is_problem(401)


async def test_an_admin_in_somebodys_name_is_not_shown_as_them(
    http: aiohttp.ClientSession, alpha: Tenant, impersonating: Api
) -> None:
    channel = f"asset:{alpha.asset}"
    path = f"/v1/orgs/{alpha.org}/presence?channel={channel}"
    async with listening(http, impersonating, alpha.org, channel) as socket:
        await socket.send_json({"op": "presence", "channel": channel})
        told = await socket.receive_json(timeout=10)
        assert (told["op"], told["members"], told["total"]) == ("presence", [], 0)
        assert users(await alpha.owner.api.get(path)) == set()
        async with listening(http, alpha.owner.api, alpha.org, channel):
            await eventually(
                lambda: alpha.owner.api.get(path), lambda got: users(got) == {alpha.owner.id}
            )
