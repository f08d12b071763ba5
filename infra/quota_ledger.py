"""What uploads under way hold of an organization's quota, in Redis: decided there, for all gateways.

An organization has one book: the bytes MongoDB was last seen to store, when that was, and what
each upload holds beside them. An upload's bytes are held until they are given up, or until a
count of what is stored has begun after they were registered: so they are counted at every
instant, and twice at most for an instant. Whoever holds bytes and does not say so again in time
has lost them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

KEPT = 8 * 86400
"""Seconds after which a book that nobody has opened is forgotten: longer than any lease."""

# Times are Redis's own, in microseconds. KEYS: sums {stored, at, held}; held id -> bytes;
# until: id by the end of its lease; settled: id by when its bytes were registered; queued:
# id -> SHA-256 of bytes that a command will register, or may. What is written is kept from then.
_BOOK = """
local sums, held, due, settled, queued = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function text(number) return string.format('%.0f', number) end
local function keep(key) call('EXPIRE', key, ARGV[1]) end
local function drop(id)
  local bytes = call('HGET', held, id)
  if bytes then
    -- Not minus: of nothing that is minus zero, which Redis takes for no number.
    call('HINCRBY', sums, 'held', text(0 - tonumber(bytes)))
    call('HDEL', held, id)
  end
  call('ZREM', due, id)
  call('ZREM', settled, id)
  call('HDEL', queued, id)
end
local function put(id, bytes, before)
  if before == bytes then return end
  call('HINCRBY', sums, 'held', text(bytes - (before or 0)))
  call('HSET', held, id, text(bytes))
  keep(sums) keep(held)
end
local function lease(id, microseconds)
  call('ZADD', due, text(now + tonumber(microseconds)), id)
  keep(due)
end
local function purge()
  for _, id in ipairs(call('ZRANGEBYSCORE', due, '-inf', text(now), 'LIMIT', 0, 1000)) do
    drop(id)
  end
end
"""

# ARGV: kept, id, bytes wanted, bytes needed, quota, microseconds of lease, oldest count that
# counts. Answers: bytes held or -1, bytes in use beside them, time of the count or -1, now.
_HOLD = (
    _BOOK
    + """
purge()
local id, want, need, quota = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local book = call('HMGET', sums, 'at', 'stored', 'held')
local at = tonumber(book[1] or '-1')
if at < 0 or now - at > tonumber(ARGV[7]) then return {-1, 0, -1, now} end
local mine = tonumber(call('HGET', held, id) or nil)
local used = tonumber(book[2]) + tonumber(book[3] or '0') - (mine or 0)
local granted = math.min(want, quota - used)
if granted < need then return {-1, used, at, now} end
put(id, granted, mine)
lease(id, ARGV[6])
if mine then
  keep(held)
  call('ZREM', settled, id)
  call('HDEL', queued, id)
end
return {granted, used, at, now}
"""
)

# ARGV: kept, id, what, bytes, microseconds of lease, SHA-256.
_END = (
    _BOOK
    + """
local id, what = ARGV[2], ARGV[3]
if what == 'released' then drop(id) return now end
put(id, tonumber(ARGV[4]), tonumber(call('HGET', held, id) or nil))
if what == 'settled' then
  call('ZREM', due, id)
  call('HDEL', queued, id)
  call('ZADD', settled, text(now), id)
  keep(settled)
else
  lease(id, ARGV[5])
  call('HSET', queued, id, ARGV[6])
  keep(queued)
end
return now
"""
)

# ARGV: kept, bytes stored, when the count began, ids of queued uploads that it found counted.
_COUNTED = (
    _BOOK
    + """
purge()
local began = tonumber(ARGV[3])
for index = 4, #ARGV do drop(ARGV[index]) end
if began <= tonumber(call('HGET', sums, 'at') or '-1') then return 0 end
call('HSET', sums, 'stored', ARGV[2], 'at', ARGV[3])
for _, id in ipairs(call('ZRANGEBYSCORE', settled, '-inf', '(' .. ARGV[3])) do drop(id) end
keep(sums)
return 1
"""
)

# Answers: now, bytes held, how many hold them, and the queued: id, SHA-256, ...
_READ = (
    _BOOK
    + """
purge()
return {now, tonumber(call('HGET', sums, 'held') or '0'), call('ZCARD', due),
  call('HGETALL', queued)}
"""
)

Execute = Callable[..., Awaitable[Any]]
Ending = Literal["released", "settled", "queued"]


@dataclass(frozen=True, slots=True)
class Held:
    """The answer to an attempt: ``granted`` is -1 where there is no room, or was no count."""

    granted: int
    used: int
    """Bytes stored, and held by others."""
    counted_at: int
    now: int


@dataclass(frozen=True, slots=True)
class Book:
    """What is held just now; ``queued`` is upload → SHA-256."""

    now: int
    held: int
    uploads: int
    queued: dict[str, str]


class Ledger:
    """Every method is one round trip, but for a script's first, and raises redis.RedisError while Redis is away."""

    def __init__(
        self, redis: Redis, execute: Execute | None = None, execute_later: Execute | None = None
    ) -> None:
        """``execute`` carries one command out, perhaps together with others; else ``redis`` does.

        ``execute_later`` does so with one that nobody waits for.
        """
        self._execute = execute or redis.execute_command
        self._execute_later = execute_later or self._execute

    async def _run(
        self, script: str, org: str, args: Sequence[Any], execute: Execute | None = None
    ) -> Any:
        keys, execute = _keys(org), execute or self._execute
        try:
            return await execute("EVALSHA", _sha(script), len(keys), *keys, *args)
        except NoScriptError:
            return await execute("EVAL", script, len(keys), *keys, *args)

    async def hold(
        self, org: str, upload: str, want: int, need: int, *, quota: int, lease: float, fresh: float
    ) -> Held:
        """Let an upload hold ``want`` bytes in all, or fewer, but ``need`` at least.

        The count it goes by is at most ``fresh`` seconds old.
        """
        args = [KEPT, upload, want, need, quota, _micro(lease), _micro(fresh)]
        return Held(*await self._run(_HOLD, org, args))

    async def end(
        self,
        org: str,
        upload: str,
        what: Ending,
        size: int = 0,
        *,
        lease: float = 0,
        sha: str = "",
        later: bool = False,
    ) -> None:
        """Say what became of an upload of ``size`` bytes.

        Released, nothing is left of it; settled, its bytes are registered; queued, a command
        may register them within ``lease`` seconds. ``later`` when nobody waits for it.
        """
        execute = self._execute_later if later else self._execute
        await self._run(_END, org, [KEPT, upload, what, size, _micro(lease), sha], execute)

    async def counted(self, org: str, stored: int, began: int, counted: Sequence[str]) -> None:
        """Take a count that began at ``began``, and in which these queued uploads are counted."""
        await self._run(_COUNTED, org, [KEPT, stored, began, *counted])

    async def read(self, org: str) -> Book:
        """What is held just now."""
        now, held, uploads, flat = await self._run(_READ, org, [KEPT])
        names = [each.decode() for each in flat]
        return Book(now, held, uploads, dict(zip(names[::2], names[1::2], strict=True)))


@cache
def _sha(script: str) -> str:
    # How Redis names a script; nothing is secured by it.
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _keys(org: str) -> list[str]:
    book = f"grid8:{{quota:{org}}}"
    return [f"{book}:{each}" for each in ("sums", "held", "until", "settled", "queued")]


def _micro(seconds: float) -> int:
    return int(seconds * 1_000_000)
