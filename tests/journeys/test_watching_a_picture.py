"""A picture on its way: uploaded over HTTP, watched on a socket until it is ready."""

from __future__ import annotations

import asyncio

import aiohttp
import pyvips
from gateway_client import Api, new_person

STAGES = ["fetch", "decode", "render", "store"]


def large(number: int) -> bytes:
    noise = pyvips.Image.gaussnoise(2400, 1600, seed=number, mean=128, sigma=40)
    picture: bytes = noise.cast("uchar").jpegsave_buffer(Q=80)
    return picture


async def test_whoever_watches_a_picture_sees_how_far_it_is_and_that_it_is_ready(
    api: Api, http: aiohttp.ClientSession
) -> None:
    owner = (await new_person(api, "Watcher")).api
    home = (await owner.post("/v1/orgs", {"name": "Watchers"})).headers["Location"]
    ticket = (await owner.post(f"{home}/realtime/tickets")).json
    # The last one waits for those before it, long enough to be listened to from its beginning.
    made = [
        await owner.post(f"{home}/assets?filename=photo-{number}.jpg", data=large(number))
        for number in range(5)
    ]
    asset = made[-1].json["id"]
    assert made[-1].json["status"] == "processing", str(made[-1])
    seen: list[tuple[str, int, int]] = []
    async with (
        asyncio.timeout(60),
        http.ws_connect(f"{ticket['ws_url']}?ticket={ticket['ticket']}") as socket,
    ):
        await socket.send_json({"op": "subscribe", "channel": f"asset:{asset}"})
        while True:
            frame = await socket.receive_json()
            if frame["op"] == "progress":
                told = frame["progress"]
                assert (told["work"], told["subject"]) == ("asset.processing", asset)
                seen.append((told["stage"], told["done"], told["total"]))
            elif frame["op"] == "event" and frame["event"]["type"] == "asset.asset.ready":
                break
    stages = [stage for stage, _, _ in seen]
    assert sorted(stages, key=STAGES.index) == stages, seen
    assert {"render", "store"} <= set(stages), seen
    assert ("store", 6, 6) in seen, seen
    feed = await owner.get(f"{home}/events?limit=200")
    assert {each["type"] for each in feed.json["items"]} >= {"asset.asset.ready"}
    assert not [each for each in feed.json["items"] if "progress" in each["type"]]
