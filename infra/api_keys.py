"""The text of API keys, and when each was last used.

A key is ``g8k_<26 characters of its id>_<43 random ones><6 of a checksum>``: found by its
prefix in whatever it leaked into, and told from a typing error without a look at the
database. The random part is base62, 256 bits of it; the checksum is the CRC-32 of all before.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.actor import KEY_PREFIX

log = structlog.get_logger(__name__)

PREFIX = "g8k_"

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM = 43
"""Characters: 62 to the 43rd is a little more than 2 to the 256th."""
_CHECKSUM = 6
_SHAPE = re.compile(rf"g8k_([a-z0-9]{{26}})_[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}", re.ASCII)

NOTE_EVERY = 10.0
"""Seconds between two notes of a key's use by one gateway."""
KEPT = 400 * 86400
"""Seconds a use is remembered."""
REMEMBERED = 20_000


def prefix_of(key_id: str) -> str:
    """What the text of a key begins with, which is no secret."""
    return PREFIX + key_id.removeprefix(KEY_PREFIX)


def new_key(key_id: str) -> str:
    """The text of a key with a new secret."""
    random = "".join(secrets.choice(_BASE62) for _ in range(_RANDOM))
    text = f"{prefix_of(key_id)}_{random}"
    return text + _checksum(text)


def id_in(text: str) -> str | None:
    """The id of the key that a text is, if it can be one at all."""
    found = _SHAPE.fullmatch(text)
    if found is None or _checksum(text[:-_CHECKSUM]) != text[-_CHECKSUM:]:
        return None
    return KEY_PREFIX + found[1]


def fits(digest: str, stored: str | None) -> bool:
    """Whether a digest is the stored one, in constant time."""
    return stored is not None and hmac.compare_digest(digest, stored)


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


@dataclass(frozen=True, slots=True)
class Use:
    """When and from where a key was last used."""

    at: datetime
    address: str


def _name(key_id: str) -> str:
    return f"grid8:apikey:{key_id}:used"


class KeyUses:
    """Last uses, in Redis. What is lost of them is lost: they are for people to look at."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._noted: OrderedDict[str, float] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, key_id: str, address: str) -> None:
        """Note a use, soon; most are not worth a note. Never waits, never fails."""
        at = time.monotonic()
        if at - self._noted.get(key_id, -NOTE_EVERY) < NOTE_EVERY:
            return
        self._noted[key_id] = at
        self._noted.move_to_end(key_id)
        if len(self._noted) > REMEMBERED:
            self._noted.popitem(last=False)
        task = asyncio.create_task(self._write(key_id, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def of(self, key_ids: Sequence[str]) -> dict[str, Use]:
        """The last uses of those that were used. Raises redis.RedisError."""
        if not key_ids:
            return {}
        found = await self._redis.mget([_name(id) for id in key_ids])
        return {
            id: _use(value) for id, value in zip(key_ids, found, strict=True) if value is not None
        }

    async def close(self) -> None:
        """Wait for what is being noted."""
        await asyncio.gather(*self._tasks)

    async def _write(self, key_id: str, address: str) -> None:
        try:
            await self._redis.set(_name(key_id), f"{time.time():.0f} {address}", ex=KEPT)
        except (RedisError, OSError) as error:
            self._noted.pop(key_id, None)
            log.warning("use_not_noted", reason=str(error)[:200])


def _use(value: bytes | str) -> Use:
    text = value.decode() if isinstance(value, bytes) else value
    seconds, _, address = text.partition(" ")
    return Use(datetime.fromtimestamp(float(seconds), UTC), address)
