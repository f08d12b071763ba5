"""How many sockets a user or an organization has, over all notifiers, and a limit on that.

Each notifier counts its own in a field of its own; one script decides, so that two who admit
at once never exceed a limit. What a dead notifier counted is left out, see ``admit``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from infra.presence.notifiers import Command, Execute, living

# ARGV: notifier, limit, and the dead, whose counts are taken out first.
_ADMIT = """
for at = 3, #ARGV do redis.call('HDEL', KEYS[1], ARGV[at]) end
local limit, sum, others = tonumber(ARGV[2]), 0, {}
local counts = redis.call('HGETALL', KEYS[1])
for at = 1, #counts, 2 do
  sum = sum + tonumber(counts[at + 1])
  if counts[at] ~= ARGV[1] then others[#others + 1] = counts[at] end
end
if limit > 0 and sum >= limit then return others end
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
return 1
"""

_RELEASE = """
local left = redis.call('HINCRBY', KEYS[1], ARGV[1], -tonumber(ARGV[2]))
if left <= 0 then redis.call('HDEL', KEYS[1], ARGV[1]) end
return left
"""


@dataclass(frozen=True, slots=True)
class Socket:
    """A connection that is open."""

    notifier: str
    user: str
    org: str
    transport: str
    since: int
    """Milliseconds since 1970."""


def of_user(user: str) -> str:
    """The scope of a user, or of an API key."""
    return f"user:{user}"


def of_organization(org: str) -> str:
    """The scope of an organization."""
    return f"org:{org}"


def admit(scope: str, notifier: str, limit: int, dead: tuple[str, ...] = ()) -> Command:
    """The command that counts one more, unless there are ``limit`` (0: there is none).

    It is answered as ``refused_by`` reads it.
    """
    return ("EVAL", _ADMIT, 1, _key(scope), notifier, limit, *dead)


def refused_by(reply: Any) -> list[str] | None:
    """None for one that was counted; else the other notifiers whose sockets stood in the way.

    Those that are not alive may be named to ``admit`` as dead.
    """
    return None if reply == 1 else [each.decode() for each in reply]


def release(scope: str, notifier: str, count: int) -> Command:
    """The command that counts some fewer."""
    return ("EVAL", _RELEASE, 1, _key(scope), notifier, count)


def correct(scope: str, notifier: str, count: int) -> Command:
    """The command that sets what a notifier counts."""
    if count == 0:
        return free(scope, notifier)
    return ("HSET", _key(scope), notifier, count)


def free(scope: str, notifier: str) -> Command:
    """The command that takes out what a notifier counts."""
    return ("HDEL", _key(scope), notifier)


def enter(notifier: str, sockets: dict[str, dict[str, Any]]) -> Command:
    """The command that notes connections by id, with what a ``Socket`` has beside its notifier."""
    flat = [part for id, socket in sockets.items() for part in (id, json.dumps(socket))]
    return ("HSET", _list(notifier), *flat)


def forget(notifier: str, *ids: str) -> Command:
    """The command that notes that connections have ended."""
    return ("HDEL", _list(notifier), *ids)


def forget_all(notifier: str) -> Command:
    """The command that forgets a notifier's connections."""
    return ("DEL", _list(notifier))


async def list_sockets(execute: Execute) -> list[Socket]:
    """All connections that count, the oldest first. Raises redis.RedisError."""
    [alive] = await execute([living()])
    ids = [each.decode() for each in alive]
    replies = await execute([("HVALS", _list(id)) for id in ids]) if ids else []
    found = [
        Socket(notifier=id, **json.loads(value))
        for id, values in zip(ids, replies, strict=True)
        for value in values
    ]
    return sorted(found, key=lambda each: each.since)


def _key(scope: str) -> str:
    return f"grid8:{{sockets:{scope}}}"


def _list(notifier: str) -> str:
    return f"grid8:{{notifier:{notifier}}}:sockets"
