"""Uploads that come in pieces, beside their bytes: what is noted of one, how many are open, and
which asset one has become. Gateways write it, the asset worker clears it away."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from redis.asyncio import Redis

from contracts.types import Id, derived_id
from infra.leases import Lease, leased
from infra.object_store import Staged

_ADMIT = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[5])
return 1
"""
_TOUCH = """
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return 1
"""


class Note(BaseModel):
    """What is noted of an upload in the store, as JSON."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    length: int | None
    """Bytes it will have; None while nobody has said."""
    metadata: str
    """As it was sent."""
    filename: str
    declared: str
    project_id: Id | None
    folder_id: Id | None = None
    tags: str
    """Separated by commas."""
    command: str
    """The id of the command that makes the asset: the same whenever it is sent again."""
    registering: dict[str, Any] | None = None
    """The command itself, once it may be on its way."""


class Finished(BaseModel):
    """What an upload has become; kept while a client may still ask."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    length: Annotated[int, Field(ge=1)]
    metadata: str
    asset_id: Id


def blob_of(upload: str) -> str:
    """The id of the blob an upload becomes."""
    return derived_id("blb", upload)


class StagedUploads:
    """What Redis keeps of them. Raises redis.RedisError while it is away.

    ``expire`` is seconds after the last byte, ``most`` how many an organization may have open.
    """

    def __init__(self, redis: Redis, *, expire: int, most: int) -> None:
        self.most = most
        self.expire = expire
        self._redis = redis

    def expires(self, staged: Staged) -> datetime:
        """When it is too late to go on with an upload."""
        return staged.modified + timedelta(seconds=self.expire)

    def locked(
        self, org: str, upload: str, *, patience: float = 0.0
    ) -> AbstractAsyncContextManager[Lease]:
        """The right to write to it. Raises LeaseTaken."""
        return leased(self._redis, f"upload:{org}:{upload}", patience=patience)

    async def admit(self, org: str, upload: str) -> bool:
        """Count a new one, unless there are too many that have not expired."""
        now, until = time.time(), time.time() + self.expire
        found = await self._redis.eval(
            _ADMIT,
            1,
            _open(org),
            str(now),
            str(until),
            upload,
            str(self.most),
            str(int(until * 1000)),
        )
        return bool(found)

    async def touch(self, org: str, upload: str) -> None:
        """It goes on, and expires later."""
        until = time.time() + self.expire
        await self._redis.eval(_TOUCH, 1, _open(org), str(until), upload, str(int(until * 1000)))

    async def close(self, org: str, upload: str) -> None:
        """It is not open any more."""
        await self._redis.zrem(_open(org), upload)

    async def finish(self, org: str, upload: str, finished: Finished) -> None:
        """Remember what it has become, for as long as an upload is kept."""
        await self._redis.set(_finished(org, upload), finished.model_dump_json(), ex=self.expire)

    async def find_finished(self, org: str, upload: str) -> Finished | None:
        """What it has become, if somebody may still ask."""
        raw = await self._redis.get(_finished(org, upload))
        return None if raw is None else Finished.model_validate_json(raw)

    async def forget(self, org: str, upload: str) -> bool:
        """Forget what it has become; whether that was known."""
        return bool(await self._redis.delete(_finished(org, upload)))


def _open(org: str) -> str:
    return f"grid8:uploads:{org}:open"


def _finished(org: str, upload: str) -> str:
    return f"grid8:uploads:{org}:finished:{upload}"
