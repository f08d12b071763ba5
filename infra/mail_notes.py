"""What must be known of a mail between the server's answer and our commit, and between tries."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.leases import alone

log = structlog.get_logger(__name__)

KEPT = 8 * 86400
"""Seconds that a mail is known to be sent: as long as the inbox knows its command."""
HELD = 15.0
"""Seconds after which somebody else may send what a process was sending when it died."""
_SENT = b"sent"


class MailNotes:
    """Notes in Redis, one per mail. Lost with Redis, they cost a second mail at most."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def was_sent(self, mail: str) -> bool:
        """Whether a server has taken it, even if no commit says so."""
        return bool(await self._redis.get(_key(mail)) == _SENT)

    async def sent(self, mail: str) -> None:
        """Note that a server has taken it. Never fails: the commit that follows says so too."""
        try:
            await self._redis.set(_key(mail), _SENT, ex=KEPT)
        except (RedisError, OSError) as error:
            log.warning("mail_not_noted", mail=mail, reason=str(error)[:300])

    def alone(self, mail: str) -> AbstractAsyncContextManager[bool]:
        """Whether nobody else is sending it, and nobody will as long as this is entered.

        Its command may be in the queue twice, when it was published again because nobody could
        note that it had been. Raises redis.RedisError on entry.
        """
        return alone(self._redis, f"mail:{mail}", seconds=HELD)

    async def put_off(self, mail: str, seconds: float) -> None:
        """Note that it is not to be tried for so long."""
        await self._redis.set(_key(mail), b"later", px=max(1, int(seconds * 1000)))

    async def wait(self, mail: str) -> float:
        """Seconds in which it is not to be tried; 0 for one that was not put off."""
        if await self._redis.get(_key(mail)) != b"later":
            return 0.0
        return max(0.0, int(await self._redis.pttl(_key(mail))) / 1000)


def _key(mail: str) -> str:
    return f"grid8:mail:{mail}"
