"""Failed sign-ins, counted in Redis for all workers: after a few, each makes the next wait longer.

An attempt on an account is counted before its password is looked at, and taken back when it
succeeds, so that of a hundred at once only the free ones are tried. Unknown accounts are
counted like known ones. An address that has signed in to the account before has a counter of
its own there, so that nobody can keep the owner out by failing elsewhere.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any, cast

from redis.asyncio import Redis

from infra.networks import customer_network

FAMILIAR_FOR = 90 * 86400
"""Seconds an address that has signed in to an account is remembered there."""
FAMILIAR = 50
"""How many such addresses an account has at most."""
LONGEST_OF_ADDRESS = 60
"""Seconds of the longest wait of an address: behind it may be a whole company."""

# KEYS: the counter, and of an account also its familiar addresses and their own counter.
_COUNT = """
local what, at, free, longest, decay = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local key = KEYS[1]
if KEYS[2] and redis.call('ZSCORE', KEYS[2], ARGV[6]) then key = KEYS[3] end
if what == 'succeeded' then
  redis.call('DEL', key)
  redis.call('ZADD', KEYS[2], at, ARGV[6])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[7]))
  redis.call('EXPIRE', KEYS[2], ARGV[8])
  return '0'
end
local state = redis.call('HMGET', key, 'failures', 'at', 'until')
local failures = tonumber(state[1] or '0')
failures = math.max(0, failures - math.max(0, at - tonumber(state[2] or ARGV[2])) / decay)
local wait = tonumber(state[3] or '0') - at
if what == 'taken_back' then
  failures = math.max(0, failures - 1)
  if math.ceil(failures) < free then redis.call('HDEL', key, 'until') end
elseif what ~= 'failed' and wait > 0 then
  return tostring(wait)
elseif what == 'asked' then
  return '0'
else
  failures = failures + 1
  local over = math.ceil(failures) - free
  if over >= 0 then
    redis.call('HSET', key, 'until', string.format('%.3f', at + math.min(longest, 2 ^ math.min(over, 30))))
  end
end
redis.call('HSET', key, 'failures', string.format('%.6f', failures), 'at', ARGV[2])
redis.call('EXPIRE', key, math.ceil(failures * decay + longest))
return '0'
"""


class Attempts:
    """Asks and counts. Raises redis.RedisError when Redis is away: nobody signs in then."""

    def __init__(
        self, redis: Redis, *, free: int, free_of_address: int, longest: int, decay: int
    ) -> None:
        # redis-py types each command for the sync and the async client at once.
        self._redis = cast(Any, redis)
        self._free = free
        self._free_of_address = free_of_address
        self._longest = longest
        self._decay = decay
        self._count = self._redis.register_script(_COUNT)

    async def begin(self, email: str, address: str) -> float:
        """Count an attempt on an account; 0, or the seconds until there may be another.

        Where there is a wait nothing is counted: asking again does not make it longer. Of two
        waits it is the longer one: who has waited for so long is not told to wait again.
        """
        wait = await self._address("asked", address)
        if wait > 0:
            return max(wait, await self._account("asked", email, address))
        return await self._account("begun", email, address)

    async def failed(self, address: str) -> None:
        """Count a failure against where it came from; the account has counted it already."""
        await self._address("failed", address)

    async def take_back(self, email: str, address: str) -> None:
        """An attempt did not fail, and is not done either: its second factor is yet to come."""
        await self._account("taken_back", email, address)

    async def succeeded(self, email: str, address: str) -> None:
        """Forget the account's failures, and remember the address. Repeating it is harmless."""
        await self._account("succeeded", email, address)

    async def _account(self, what: str, email: str, address: str) -> float:
        # Of the address as it is compared, whether or not there is such an account.
        account = f"grid8:{{signin:{_digest(email.lower())}}}"
        where = _digest(customer_network(address))
        keys = [f"{account}:others", f"{account}:familiar", f"{account}:{where}"]
        return await self._run(what, keys, self._free, self._longest, where)

    async def _address(self, what: str, address: str) -> float:
        if not address:
            return 0.0
        where = _digest(customer_network(address))
        longest = min(self._longest, LONGEST_OF_ADDRESS)
        keys = [f"grid8:signin:from:{where}"]
        return await self._run(what, keys, self._free_of_address, longest, where)

    async def _run(self, what: str, keys: list[str], free: int, longest: int, where: str) -> float:
        wait: bytes = await self._count(
            keys=keys,
            args=[
                what,
                f"{time.time():.3f}",
                free,
                longest,
                self._decay,
                where,
                FAMILIAR,
                FAMILIAR_FOR,
            ],
        )
        return float(wait)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
