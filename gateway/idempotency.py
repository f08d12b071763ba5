"""Idempotency-Key: the first answer is given again, whatever happens to the connection.

The key is kept with the id of the command it caused. A retry while nobody knows what became
of the first try sends the same command under the same id, which workers handle once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from redis.asyncio import Redis

from gateway.errors import KeyInProgress, KeyInvalid, KeyReused

KEPT = 24 * 3600
"""Seconds a key is remembered."""


@dataclass(slots=True)
class Answer:
    """A response as it is kept: secrets in ``body`` stay sealed."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any] | None
    problem: bool = False


@dataclass(slots=True)
class Claim:
    """One key in use. ``answer`` is the first answer, when there is one already."""

    key: str
    fingerprint: str
    command: str
    since: float
    answer: Answer | None = None


class Idempotency:
    """Claims keys in Redis, shared by all gateways."""

    def __init__(self, redis: Redis, secret: bytes, *, patience: float) -> None:
        self._redis = redis
        self._secret = secret
        self._patience = patience

    def fingerprint(self, *parts: bytes | str) -> str:
        """What makes two requests the same: keyed, since a body may hold a password."""
        mac = hmac.new(self._secret, digestmod=hashlib.sha256)
        for part in parts:
            raw = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
            mac.update(len(raw).to_bytes(8))
            mac.update(raw)
        return mac.hexdigest()

    async def claim(self, caller: str, key: str, fingerprint: str, command: str) -> Claim:
        """Take the key for ``command``, or learn what became of it.

        Raises KeyInvalid, KeyReused for another request, and KeyInProgress while the first
        one is being answered. Without an answer the claim is new, or its request was never
        answered: send its command (again).
        """
        if not 1 <= len(key) <= 255 or not all(" " < character <= "~" for character in key):
            raise KeyInvalid()
        name = "grid8:idempotency:" + self.fingerprint(caller, key)
        claim = Claim(name, fingerprint, command, time.time())
        if await self._redis.set(name, _dump(claim), nx=True, ex=KEPT):
            return claim
        raw = await self._redis.get(name)
        if raw is None:
            raise KeyInProgress(retry_after=1)
        known = _load(name, raw)
        if known.command == command:
            return known  # ours: the first reply to SET was lost, and the client asked again
        if known.fingerprint != fingerprint:
            raise KeyReused()
        if known.answer is None and time.time() - known.since < self._patience:
            raise KeyInProgress(retry_after=1)
        return known

    async def answered(self, claim: Claim, answer: Answer) -> None:
        """Keep the first answer."""
        claim.answer = answer
        await self._redis.set(claim.key, _dump(claim), ex=KEPT)

    async def release(self, claim: Claim) -> None:
        """Give the key back: its command will never be carried out."""
        await self._redis.delete(claim.key)


def _dump(claim: Claim) -> str:
    kept = asdict(claim)
    del kept["key"]
    return json.dumps(kept)


def _load(name: str, raw: bytes | str) -> Claim:
    kept = json.loads(raw)
    answer = Answer(**kept.pop("answer")) if kept.get("answer") else None
    kept.pop("answer", None)
    return Claim(name, **kept, answer=answer)
