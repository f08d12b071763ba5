"""What was pushed, in its order, kept in MongoDB for longer than the push streams hold it.

The event log has the events, but its order is another, and a cursor is a position in a push
stream. So each pass copies of what is new in one stream: where, for whom, and which event.
What a pass finds gone from the stream before it was copied, it records as a hole.

Document of ``pushes``: ``lane``, ``last`` (where its pass ended), ``expires``, and ``entries``
of one scope (an organization or user) as [position, channels, event id, copies]; or, in the
lane without a scope, ``hole``: the positions between which entries are missing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError
from redis.asyncio import Redis

from bus import streams
from bus.documents import PUSH_ARCHIVE, PUSHES, Database
from bus.feed.push_cursor import Position, format_id, parse_id

PASS = 250
"""Entries copied by one pass: neither Redis nor who copies may stand still for long."""
PASS_BYTES = 2 * 1024 * 1024
"""What a pass has Redis look at, about: of large events it copies fewer."""
GRACE = timedelta(hours=1)
"""How long a document is kept after cursors that need it are refused."""

_NEXT = """
local reply = redis.pcall('XINFO', 'STREAM', KEYS[1])
if reply.err then return {} end
local info = {}
for i = 1, #reply, 2 do info[reply[i]] = reply[i + 1] end
local found = {info['entries-added'], info['length'], info['last-generated-id']}
local from, left, size = ARGV[1], tonumber(ARGV[2]), 0
while left > 0 and size < tonumber(ARGV[3]) do
  local some = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', math.min(left, 16))
  for _, entry in ipairs(some) do
    local field = {to = '', id = '', copies = '1'}
    local flat = entry[2]
    for i = 1, #flat, 2 do
      if field[flat[i]] then field[flat[i]] = flat[i + 1] end
      size = size + #flat[i + 1]
    end
    found[#found + 1] = {entry[1], field.to, field.id, field.copies}
  end
  if #some == 0 then break end
  from = '(' .. some[#some][1]
  left = left - #some
end
return found
"""


@dataclass(frozen=True, slots=True)
class Advance:
    """What a pass did; ``behind`` and ``seconds`` are what it left to be copied."""

    copied: int = 0
    lost: bool = False
    behind: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Entry:
    position: Position
    to: list[str]
    id: str
    copies: int


@dataclass(frozen=True, slots=True)
class _Look:
    """A push stream at one moment, and its entries from a position on."""

    added: int
    length: int
    last: Position
    entries: list[_Entry]


def lane_of(shards: int, shard: int, scope: str = "") -> str:
    """The key of a scope in one push stream; without a scope, of the stream itself."""
    return f"{shards}.{shard}/{scope}"


def key_of(position: Position) -> str:
    """A position as text whose order is that of positions."""
    return f"{position[0]:019d}-{position[1]:019d}"


def position_of(key: str) -> Position:
    """The position in a text."""
    return parse_id(key.encode())


def after(position: Position) -> Position:
    """The least position behind another."""
    return position[0], position[1] + 1


def earlier(position: Position, seconds: float) -> Position:
    """The first position of so many seconds before another."""
    return max(0, int(position[0] - seconds * 1000)), 0


def oldest(days: int) -> Position:
    """Where retention ends now."""
    return int((time.time() - days * 86400) * 1000), 0


class PushArchive:
    """Copies push streams. ``days`` is for how long.

    Several may be at one stream: of passes that meet, one is carried out.
    """

    def __init__(self, database: Database, redis: Redis, *, shards: int, days: int) -> None:
        self._pushes = database[PUSHES]
        self._states = database[PUSH_ARCHIVE]
        self._client = database.client
        self._redis = redis
        self._shards = shards
        self._days = days

    async def advance(self, shard: int) -> Advance:
        """One pass over a push stream. Raises redis.RedisError and PyMongoError: try again."""
        lane = lane_of(self._shards, shard)
        state = await self._states.find_one({"_id": lane})
        through = position_of(state["through"]) if state else oldest(self._days)
        look = await self._look(shard, through)
        if look is None:
            return Advance()
        held = bool(look.entries) and look.entries[0].position == through
        fresh = look.entries[1:] if held else look.entries
        ends = look.last if not fresh else fresh[-1].position
        if ends <= through:
            await self._keep_up(lane, state)
            return Advance()
        if ends == look.last:
            added = look.added
        elif held and state:
            added = state["added"] + len(fresh)
        else:
            added = look.added - look.length + len(fresh)
        lost = not held and (state is None or look.added - state["added"] != look.length)
        documents = self._documents(shard, fresh, ends)
        if lost:
            end = fresh[0].position if fresh else after(look.last)
            documents.append(self._document(lane, ends, hole=[key_of(through), key_of(end)]))
        behind = look.added - added
        if not await self._write(lane, state, ends, added, documents):
            return Advance()
        late = max(0.0, time.time() - ends[0] / 1000) if behind else 0.0
        return Advance(len(fresh), lost and state is not None, behind, late)

    async def _look(self, shard: int, since: Position) -> _Look | None:
        """None when there is no stream at all."""
        reply: Any = await self._redis.eval(
            _NEXT, 1, streams.push(shard), format_id(since), str(PASS + 1), str(PASS_BYTES)
        )
        if not reply:
            return None
        added, length, last, *rows = reply
        entries = [
            _Entry(parse_id(id), to.decode().split(), event.decode(), int(copies))
            for id, to, event, copies in rows
        ]
        return _Look(int(added), int(length), parse_id(last), entries)

    def _documents(
        self, shard: int, entries: Sequence[_Entry], last: Position
    ) -> list[dict[str, Any]]:
        by_scope: dict[str, list[list[Any]]] = {}
        for each in entries:
            channels: dict[str, list[str]] = {}
            for address in each.to:
                scope, _, channel = address.partition("/")
                channels.setdefault(scope, []).append(channel)
            for scope, named in channels.items():
                row = [format_id(each.position), " ".join(named), each.id, each.copies]
                by_scope.setdefault(scope, []).append(row)
        return [
            self._document(lane_of(self._shards, shard, scope), last, entries=rows)
            for scope, rows in by_scope.items()
        ]

    def _document(self, lane: str, last: Position, **members: Any) -> dict[str, Any]:
        expires = datetime.fromtimestamp(last[0] / 1000, UTC) + timedelta(days=self._days) + GRACE
        return {
            "_id": f"{lane} {key_of(last)}",
            "lane": lane,
            "last": key_of(last),
            "expires": expires,
            **members,
        }

    async def _write(
        self,
        lane: str,
        state: dict[str, Any] | None,
        through: Position,
        added: int,
        documents: list[dict[str, Any]],
    ) -> bool:
        """All of it or nothing, so that what is read up to ``through`` is whole."""
        moved = {"through": key_of(through), "added": added}
        begins = key_of(oldest(self._days))
        async with (
            self._client.start_session() as session,
            await session.start_transaction(),
        ):
            if state is None:
                try:
                    await self._states.insert_one(
                        {"_id": lane, "begins": begins, **moved}, session=session
                    )
                except DuplicateKeyError:
                    await session.abort_transaction()
                    return False
            else:
                met = await self._states.update_one(
                    {"_id": lane, "through": state["through"], "added": state["added"]},
                    {"$set": moved, "$max": {"begins": begins}},
                    session=session,
                )
                if not met.matched_count:
                    await session.abort_transaction()
                    return False
            if documents:
                await self._pushes.insert_many(documents, session=session)
        return True

    async def _keep_up(self, lane: str, state: dict[str, Any] | None) -> None:
        """Note what has expired, for the day on which ``days`` is raised."""
        begins = oldest(self._days)
        if state and position_of(state["begins"])[0] < begins[0] - GRACE.total_seconds() * 1000:
            await self._states.update_one({"_id": lane}, {"$max": {"begins": key_of(begins)}})
