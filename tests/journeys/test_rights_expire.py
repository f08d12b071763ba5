"""Rights that end: told on the asset's channel and the organization's, on time and once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from gateway_client import Api, new_person
from gateway_stack import eventually

from infra.embedded.running import RunningStack

EXPIRED = "asset.rights.expired"


async def test_an_expiry_is_heard_on_a_socket_though_the_workers_were_killed_before_it(
    api: Api, http: aiohttp.ClientSession, stack: RunningStack
) -> None:
    owner = (await new_person(api, "Rights holder")).api
    home = (await owner.post("/v1/orgs", {"name": "Rights"})).headers["Location"]
    made = await owner.post(f"{home}/assets?filename=a.txt", data=b"may be used for a while")
    path, asset = made.headers["Location"], made.json["id"]
    ticket = (await owner.post(f"{home}/realtime/tickets")).json
    async with http.ws_connect(f"{ticket['ws_url']}?ticket={ticket['ticket']}") as socket:
        channels = {"org", f"asset:{asset}"}
        for channel in channels:
            await socket.send_json({"op": "subscribe", "channel": channel})

        heard: list[dict[str, Any]] = []

        async def hear() -> str:
            frame = json.loads((await socket.receive(timeout=60)).data)
            if frame["op"] == "event":
                heard.append(frame)
            op: str = frame["op"]
            return op

        subscribed = 0
        while subscribed < 2:
            subscribed += await hear() == "subscribed"
        expires = datetime.now(UTC) + timedelta(seconds=3)
        rights = {"territories": ["DE"], "expires_at": expires.isoformat()}
        assert (await owner.patch(path, {"rights": rights})).status == 200
        stack.kill("workers")

        deadline = time.monotonic() + 60
        while {f["channel"] for f in heard if f["event"]["type"] == EXPIRED} != channels:
            assert time.monotonic() < deadline, heard
            await hear()
    told = [frame["event"] for frame in heard if frame["event"]["type"] == EXPIRED]
    assert len({event["id"] for event in told}) == 1
    assert told[0]["data"]["asset_id"] == asset
    assert told[0]["data"]["territories"] == ["DE"]
    assert datetime.fromisoformat(told[0]["time"]) >= datetime.fromisoformat(
        told[0]["data"]["expires_at"]
    )
    assert (await owner.get(path)).json["rights"]["state"] == "expired"

    # Another expiry is told after it: the first was not told twice in between.
    second = datetime.now(UTC) - timedelta(days=1)
    await owner.patch(path, {"rights": {"expires_at": second.isoformat()}})
    feed = await eventually(
        lambda: owner.get(f"{home}/events?type={EXPIRED}"),
        lambda answer: len(answer.json["items"]) >= 2,
        within=60,
    )
    assert len(feed.json["items"]) == 2
