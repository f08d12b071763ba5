"""From an event over HTTP to the inbox of whom it concerns, live, whatever is killed on the way."""

from __future__ import annotations

import json
import time
from typing import Any

import aiohttp
from gateway_client import Api, Person, new_person
from gateway_stack import eventually

from infra.embedded.running import RunningStack

NOTES = "/v1/me/notifications"


async def listening(
    http: aiohttp.ClientSession, person: Person, home: str
) -> aiohttp.ClientWebSocketResponse:
    """A socket on the person's own channel."""
    ticket = (await person.api.post(f"{home}/realtime/tickets")).json
    socket = await http.ws_connect(f"{ticket['ws_url']}?ticket={ticket['ticket']}")
    await socket.send_json({"op": "subscribe", "channel": "me"})
    frame = json.loads((await socket.receive(timeout=30)).data)
    assert frame["op"] == "subscribed", frame
    return socket


async def heard(
    socket: aiohttp.ClientWebSocketResponse, wanted: str, number: int
) -> list[dict[str, Any]]:
    """The next so many events of a type."""
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + 60
    while len(found) < number:
        assert time.monotonic() < deadline, found
        frame = json.loads((await socket.receive(timeout=60)).data)
        assert frame.get("channel", "me") == "me", frame
        if frame["op"] == "event" and frame["event"]["type"] == wanted:
            found.append(frame["event"])
    return found


def batch(mentioned: str, number: int) -> list[dict[str, Any]]:
    return [
        {
            "specversion": "1.0",
            "id": f"note-{each}",
            "source": "/tests/boards",
            "type": "custom.note.added",
            "data": {"mentions": [mentioned], "title": f"Note {each}", "link": f"/boards/{each}"},
        }
        for each in range(number)
    ]


async def test_forty_mentions_are_heard_and_counted_though_the_workers_are_killed(
    api: Api, http: aiohttp.ClientSession, stack: RunningStack
) -> None:
    owner, ed = await new_person(api, "Olga Inbox"), await new_person(api, "Ed Inbox")
    home = (await owner.api.post("/v1/orgs", {"name": "Inbox"})).headers["Location"]
    added = await owner.api.post(f"{home}/members", {"email": ed.email, "role": "editor"})
    assert added.status == 201, str(added)
    socket, bystander = await listening(http, ed, home), await listening(http, owner, home)
    sent = await owner.api.post(
        f"{home}/events",
        batch(ed.id, 40),
        headers={"Content-Type": "application/cloudevents-batch+json"},
    )
    assert sent.status == 202, str(sent)
    stack.kill("workers")

    missing = {f"Note {number}" for number in range(40)}
    made: list[dict[str, Any]] = []
    while missing:  # that of becoming a member may come among them
        made += await heard(socket, "inbox.notification.created", 1)
        missing.discard(made[-1]["data"]["title"])
    counts = await eventually(
        lambda: ed.api.get(f"{NOTES}/unread"), lambda answer: answer.json["count"] == 41, within=60
    )
    last = max(made, key=lambda each: each["revision"])
    if last["revision"] == counts.json["revision"]:
        assert last["data"]["unread"] == 41, "and that of becoming a member"
    titles = [each["title"] for each in (await ed.api.get(f"{NOTES}?limit=200")).json["items"]]
    assert len(titles) == len(set(titles)) == 41

    read = await ed.api.post(f"{NOTES}/read", {"everything": True})
    assert read.json["count"] == 0
    (event,) = await heard(socket, "inbox.notifications.read", 1)
    assert (event["data"]["unread"], event["data"]["read"]) == (0, True)
    assert set(event["data"]["counts"]) == {
        each["id"] for each in (await ed.api.get(f"{NOTES}?limit=200")).json["items"]
    }
    # Whose inbox it is not hears nothing of it, and the organization's feed does not show it.
    await owner.api.post(f"{NOTES}/read", {"everything": True})
    feed = await owner.api.get(f"{home}/events?type=inbox.*&limit=200")
    assert feed.json["items"] == []
    await bystander.send_json({"op": "ping"})
    frame = json.loads((await bystander.receive(timeout=30)).data)
    while frame["op"] == "event":
        assert not frame["event"]["type"].startswith("inbox."), frame
        frame = json.loads((await bystander.receive(timeout=30)).data)
    assert frame["op"] == "pong"
    await bystander.close()
    await socket.close()
