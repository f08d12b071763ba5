"""The feed of an organization from its push stream: for a reader with a realtime cursor."""

from __future__ import annotations

import json
from typing import Any, cast

from redis.asyncio import Redis

from bus import streams
from bus.feed.cursor import CursorExpired
from bus.feed.log import PAGE_BYTES, Wanted
from bus.feed.push_cursor import Position, decode, encode, format_id, parse_id
from bus.paging import CursorInvalid
from contracts.realtime.errors import CursorInvalid as RealtimeCursorInvalid

COUNT = 500
ROUNDS = 5

_Raw = list[tuple[bytes, dict[bytes, bytes]]]


async def read_pushed(
    redis: Redis, org: str, cursor: str, *, shards: int, limit: int, wanted: Wanted
) -> tuple[list[bytes], str]:
    """The next ``limit`` events or fewer, each as JSON, and the realtime cursor behind them.

    They are in the order in which sockets are told. Raises CursorInvalid, CursorExpired when
    the stream no longer holds what followed, and redis.RedisError.
    """
    shard = streams.shard_of(org, shards)
    try:
        positions = decode(cursor, shards)
    except RealtimeCursorInvalid as error:
        raise CursorInvalid("after") from error
    if shard not in positions:
        raise CursorExpired()
    begin = wanted.begin() // 1000
    place = positions[shard]
    shown: dict[bytes, bytes] = {}
    size = 0
    address = streams.address_of(org, "org")
    for number in range(ROUNDS):
        entries = await _behind(redis, shard, place)
        if entries is None and number == 0:
            raise CursorExpired()
        for id, fields in entries or []:
            position = parse_id(id)
            fits = position[0] >= begin and _is_to(fields, address) and _takes(wanted, fields)
            if fits and fields[b"id"] not in shown:
                size += len(fields[b"event"])
                if len(shown) == limit or (shown and size > PAGE_BYTES):
                    break
                shown[fields[b"id"]] = fields[b"event"]
            place = position
        else:
            if entries is not None and len(entries) == COUNT:
                continue
        break
    return list(shown.values()), encode(shards, {**positions, shard: place})


async def _behind(redis: Redis, shard: int, place: Position) -> _Raw | None:
    """Entries behind a position; None when it is not held, so that some may be missing."""
    found: Any = await redis.xrange(
        streams.push(shard), min=format_id(place), max="+", count=COUNT + 1
    )
    entries = cast(_Raw, found)
    if not entries or parse_id(entries[0][0]) != place:
        return None
    return entries[1:]


def _is_to(fields: dict[bytes, bytes], address: str) -> bool:
    return address in fields.get(b"to", b"").decode().split()


def _takes(wanted: Wanted, fields: dict[bytes, bytes]) -> bool:
    subject = json.loads(fields[b"event"]).get("subject") if wanted.subject is not None else None
    return wanted.takes(fields[b"type"].decode(), subject)
