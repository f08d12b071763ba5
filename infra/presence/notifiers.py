"""Which notifiers are alive: each says so every second or so, and names its dead for burial."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

Command = tuple[Any, ...]
Execute = Callable[[Sequence[Command]], Awaitable[list[Any]]]
"""Carries commands out together, and in the order of its calls."""

_ALIVE = "grid8:{notifiers}:alive"
"""Until when each counts as alive, in milliseconds by Redis's clock."""
_DEAD = "grid8:{notifiers}:dead"
"""From when on somebody (else) may clear what each has left."""
_PARDON = "grid8:{notifiers}:pardon"

BURIAL = 10_000
"""Milliseconds a notifier has to clear what a dead one has left, before another does."""

# After Redis, or a whole process, stood still, everybody is late: then nobody is taken for
# dead until all had the time to say that they are not.
_BEAT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local last = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not last and ARGV[3] ~= 'first' then return {'forgotten', {}, {}} end
local state = 'known'
if last and tonumber(last) < now then
  state = 'late'
  redis.call('SET', KEYS[3], '1', 'PX', ARGV[2])
end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
if redis.call('EXISTS', KEYS[3]) == 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)) do
    redis.call('ZREM', KEYS[1], id)
    redis.call('ZADD', KEYS[2], now, id)
  end
end
local mine = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 4)
for _, id in ipairs(mine) do redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), id) end
return {state, redis.call('ZRANGE', KEYS[1], 0, -1), mine}
"""

_LIVING = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local since = now
if redis.call('EXISTS', KEYS[2]) == 1 then since = '-inf' end
return redis.call('ZRANGEBYSCORE', KEYS[1], since, '+inf')
"""

_RETIRE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[2]), ARGV[1])
"""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a sign of life is answered."""

    forgotten: bool
    """There is no such notifier: it was taken for dead, or Redis has lost its data."""
    late: bool
    """The last one had expired already."""
    living: frozenset[str]
    burials: tuple[str, ...]
    """Dead ones, of which the caller is to clear what they have left."""


def new_notifier() -> str:
    """An id that no notifier has or had."""
    return secrets.token_hex(6)


async def beat(execute: Execute, id: str, *, alive_for: float, first: bool = False) -> Beat:
    """Say that a notifier is alive, for ``alive_for`` seconds. Raises redis.RedisError.

    Only with ``first`` does it become known; whoever is forgotten needs another id.
    """
    kind = "first" if first else "again"
    call = ("EVAL", _BEAT, 3, _ALIVE, _DEAD, _PARDON, id, _ms(alive_for), kind, BURIAL)
    [[state, living, burials]] = await execute([call])
    return Beat(
        forgotten=state == b"forgotten",
        late=state == b"late",
        living=frozenset(each.decode() for each in living),
        burials=tuple(each.decode() for each in burials),
    )


async def retire(execute: Execute, id: str, *, after: float) -> None:
    """Let a notifier count as alive for ``after`` more seconds, and then no longer."""
    await execute([("EVAL", _RETIRE, 1, _ALIVE, id, _ms(after))])


def living() -> Command:
    """The command that answers with the ids of all that are alive."""
    return ("EVAL", _LIVING, 2, _ALIVE, _PARDON)


def buried(id: str) -> Command:
    """The command that notes that nothing is left of a dead notifier."""
    return ("ZREM", _DEAD, id)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
