"""Who is present on a channel: a person's connections at each notifier, one hash per channel.

A roster has a version, an epoch and a number, so that whoever keeps a copy finds out what
they missed: changes are published too, and lost where nobody hears them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.presence.notifiers import Command, Execute, living

CHANGES = "grid8:presence"
"""The pub/sub channel on which changes are told."""
LIMIT = 500
"""Changes that are written, and told, at once."""

# KEYS: members, version. The version of an empty roster is forgotten soon.
_TELL = """
if #told > 0 then
  local epoch = redis.call('HGET', KEYS[2], 'epoch')
  if not epoch then
    local clock = redis.call('TIME')
    epoch = string.format('%x-%x', clock[1], clock[2])
    redis.call('HSET', KEYS[2], 'epoch', epoch)
  end
  local number = redis.call('HINCRBY', KEYS[2], 'number', 1)
  local idle = redis.call('EXISTS', KEYS[1]) == 1 and 86400 or 60
  redis.call('EXPIRE', KEYS[2], idle)
  redis.call('PUBLISH', ARGV[1], table.concat({ARGV[2], epoch, number, ARGV[3],
    table.concat(told, ' ')}, ' '))
end
return #told
"""

# ARGV: pub/sub channel, address, notifier, and user, connections, since of each.
_WRITE = (
    """
local told = {}
for at = 4, #ARGV, 3 do
  local field = ARGV[3] .. ' ' .. ARGV[at]
  local value = ARGV[at + 1] .. ' ' .. ARGV[at + 2]
  local changed
  if ARGV[at + 1] == '0' then
    changed = redis.call('HDEL', KEYS[1], field) == 1
  else
    changed = redis.call('HGET', KEYS[1], field) ~= value
    if changed then redis.call('HSET', KEYS[1], field, value) end
  end
  if changed then told[#told + 1] = ARGV[at] .. ' ' .. value end
end
"""
    + _TELL
)

_CLEAR = (
    """
local told = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, #ARGV[3] + 1) == ARGV[3] .. ' ' then
    redis.call('HDEL', KEYS[1], field)
    told[#told + 1] = string.sub(field, #ARGV[3] + 2) .. ' 0 0'
  end
end
"""
    + _TELL
)

_READ = """
local version = redis.call('HMGET', KEYS[2], 'epoch', 'number')
local epoch, number = version[1] or '', version[2] or '0'
if epoch .. ' ' .. number == ARGV[1] then return false end
return {epoch, number, redis.call('HGETALL', KEYS[1])}
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A person's connections at one notifier; none when ``connections`` is 0."""

    user: str
    notifier: str
    connections: int
    since: int
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What was changed in the roster of a channel."""

    address: str
    epoch: str
    number: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Roster:
    """All of a channel's."""

    epoch: str
    number: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """A person who is present."""

    user: str
    connections: int
    since: int

    @property
    def at(self) -> datetime:
        """Since when."""
        return datetime.fromtimestamp(self.since / 1000, UTC)


def write(address: str, notifier: str, people: Iterable[tuple[str, int, int]]) -> Command:
    """The command that says how many connections people have at a notifier, and since when."""
    flat = [part for each in people for part in each]
    return ("EVAL", _WRITE, 2, *_keys(address), CHANGES, address, notifier, *flat)


def clear(address: str, notifier: str) -> Command:
    """The command that takes everything out that a dead notifier has written."""
    return ("EVAL", _CLEAR, 2, *_keys(address), CHANGES, address, notifier)


def read(address: str, epoch: str = "", number: int = -1) -> Command:
    """The command that answers with a roster, or nothing where it still has this version."""
    return ("EVAL", _READ, 2, *_keys(address), f"{epoch} {number}")


def roster_of(reply: Any) -> Roster | None:
    """The answer to ``read``; None when nothing has changed."""
    if reply is None:
        return None
    epoch, number, flat = reply
    entries = []
    for field, value in zip(flat[::2], flat[1::2], strict=True):
        notifier, user = field.decode().split(" ")
        connections, since = value.split()
        entries.append(Entry(user, notifier, int(connections), int(since)))
    return Roster(epoch.decode(), int(number), tuple(entries))


def changes_of(body: bytes) -> Changes:
    """What was told on CHANGES. Raises ValueError."""
    address, epoch, number, notifier, *flat = body.decode().split(" ")
    entries = tuple(
        Entry(user, notifier, int(connections), int(since))
        for user, connections, since in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    )
    return Changes(address, epoch, int(number), entries)


def address_in(body: bytes) -> str:
    """Whose changes were told, without reading them."""
    return body.partition(b" ")[0].decode()


async def find_present(execute: Execute, address: str) -> list[Present]:
    """Who is present on a channel, who came first before the others. Raises redis.RedisError."""
    alive, reply = await execute([living(), read(address)])
    known = {each.decode() for each in alive}
    roster = roster_of(reply)
    by_user: dict[str, list[Entry]] = {}
    for entry in roster.entries if roster is not None else ():
        if entry.notifier in known:
            by_user.setdefault(entry.user, []).append(entry)
    return in_order(together(user, entries) for user, entries in by_user.items())


def together(user: str, entries: Sequence[Entry]) -> Present:
    """A person, of what each notifier knows of them."""
    return Present(
        user, sum(each.connections for each in entries), min(each.since for each in entries)
    )


def in_order(people: Iterable[Present]) -> list[Present]:
    """Who came first before the others."""
    return sorted(people, key=lambda each: (each.since, each.user))


def _keys(address: str) -> tuple[str, str]:
    return f"grid8:{{presence:{address}}}:members", f"grid8:{{presence:{address}}}:version"
