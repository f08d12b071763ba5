"""An event's way: posted by a producer, heard on a socket, read in the feed."""

from __future__ import annotations

import asyncio
import json

import aiohttp
from gateway_client import Api, new_person
from gateway_stack import eventually


async def test_an_event_posted_over_http_is_heard_on_a_socket_and_read_in_the_feed(
    api: Api, http: aiohttp.ClientSession
) -> None:
    owner = (await new_person(api, "Producer")).api
    home = (await owner.post("/v1/orgs", {"name": "Producers"})).headers["Location"]
    ticket = (await owner.post(f"{home}/realtime/tickets")).json
    async with http.ws_connect(f"{ticket['ws_url']}?ticket={ticket['ticket']}") as socket:
        await socket.send_json({"op": "subscribe", "channel": "org"})
        while (frame := await socket.receive_json(timeout=30))["op"] != "subscribed":
            pass
        cursor = frame["cursor"]
        sent = await owner.post(
            f"{home}/events",
            data=json.dumps(
                {
                    "specversion": "1.0",
                    "id": "1",
                    "source": "/shop/prices",
                    "type": "custom.price.changed",
                    "data": {"price": 3.5},
                }
            ).encode(),
            headers={"Content-Type": "application/cloudevents+json"},
        )
        assert sent.status == 202, str(sent)
        id = sent.json["items"][0]["event_id"]
        async with asyncio.timeout(30):
            while (frame := await socket.receive_json())["event"]["id"] != id:
                pass
        heard = frame["event"]

    feed = await owner.get(f"{home}/events?type=custom.*")
    assert feed.json["items"] == [heard]

    # A socket's cursor goes on in the feed, and what that gives goes on on a socket.
    page = await owner.get(f"{home}/events?after={cursor}&limit=200")
    assert page.status == 200, str(page)
    assert heard in page.json["items"]
    brand = await owner.post(f"{home}/brands", {"name": "Sunrise"})
    after = page.json["next_cursor"]
    more = await eventually(
        lambda: owner.get(f"{home}/events?after={after}"),
        lambda answer: answer.json["items"],
        within=30,
    )
    assert [each["subject"] for each in more.json["items"]] == [brand.json["id"]]
    ticket = (await owner.post(f"{home}/realtime/tickets")).json
    url = f"{ticket['ws_url']}?ticket={ticket['ticket']}"
    async with http.ws_connect(url) as socket:
        await socket.send_json({"op": "subscribe", "channel": "org", "since": after})
        subscribed = await socket.receive_json(timeout=30)
        assert (subscribed["op"], subscribed["recovered"]) == ("subscribed", True)
        replayed = await socket.receive_json(timeout=30)
        assert replayed["event"] == more.json["items"][0]
