"""What tests of resuming from the archive share: losing pushes, and making them older."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from notifier_stage import Stage, WsClient, until

from bus import streams
from bus.documents import EVENTS, PUSH_ARCHIVE, PUSHES
from bus.feed.archive import key_of, position_of
from bus.feed.push_cursor import decode, encode, format_id, parse_id

WEEK = 7 * 86_400_000


def number(frame: dict[str, Any]) -> int:
    assert frame["op"] == "event", frame
    return int(frame["event"]["data"]["n"])


async def numbers(client: WsClient, last: int) -> list[int]:
    seen: list[int] = []
    while not seen or seen[-1] != last:
        seen.append(number(await client.receive()))
    return seen


async def caught_up(stage: Stage) -> None:
    """Wait until everything that was pushed is archived."""
    assert stage.database is not None
    states = stage.database[PUSH_ARCHIVE]

    async def done() -> bool:
        for shard in range(stage.settings.notifier.push_shards):
            end = (await stage.redis.xinfo_stream(streams.push(shard)))["last-generated-id"]
            state = await states.find_one(
                {"_id": f"{stage.settings.notifier.push_shards}.{shard}/"}
            )
            if state is None or position_of(state["through"]) < parse_id(end):
                return False
        return True

    await until(done, "the archive has caught up")


async def trim(stage: Stage, keep: int = 0) -> None:
    for shard in range(stage.settings.notifier.push_shards):
        await stage.redis.xtrim(streams.push(shard), maxlen=keep, approximate=False)


async def begin(stage: Stage, channel: str = "org") -> str:
    async with stage.ws() as client:
        cursor: str = (await client.subscribe(channel))["cursor"]
    return cursor


async def age(stage: Stage, milliseconds: int) -> None:
    """Make all that was archived and logged so much older."""
    assert stage.database is not None

    def earlier(key: str) -> str:
        ms, sequence = position_of(key)
        return key_of((ms - milliseconds, sequence))

    async for each in stage.database[PUSHES].find():
        changed: dict[str, Any] = {
            "last": earlier(each["last"]),
            "expires": each["expires"] - timedelta(milliseconds=milliseconds),
        }
        if "hole" in each:
            changed["hole"] = [earlier(key) for key in each["hole"]]
        if "entries" in each:
            changed["entries"] = [
                [
                    format_id(
                        (parse_id(row[0].encode())[0] - milliseconds, parse_id(row[0].encode())[1])
                    ),
                    *row[1:],
                ]
                for row in each["entries"]
            ]
        await stage.database[PUSHES].update_one({"_id": each["_id"]}, {"$set": changed})
    await stage.database[EVENTS].update_many({}, {"$inc": {"logged": -milliseconds * 1000}})
    await stage.database[EVENTS].update_many(
        {}, [{"$set": {"time": {"$subtract": ["$time", milliseconds]}}}]
    )


def aged(cursor: str, milliseconds: int) -> str:
    shards = int(cursor[1:].partition(".")[0])
    return encode(
        shards,
        {shard: (ms - milliseconds, seq) for shard, (ms, seq) in decode(cursor, shards).items()},
    )
