"""Sessions in Redis, with expiry, and refresh tokens that are never stored.

A refresh token is ``g8r_<session>.<counter>.<mac>``, the MAC keyed by a server key over the
session, the counter and the session's own nonce. Redis keeps only the counter, so exchanging
the previous token again within the grace yields the very same successor, and a copy of
Redis is worth nothing without the server key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

from redis.asyncio import Redis

_ROTATE = """
local counter = redis.call('HGET', KEYS[1], 'counter')
if not counter then return {'gone', '0'} end
counter = tonumber(counter)
local asked, at, grace, idle = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if asked == counter then
  counter = counter + 1
  local left = math.min(idle, tonumber(redis.call('HGET', KEYS[1], 'ends')) - at)
  if left <= 0 then redis.call('DEL', KEYS[1]); return {'gone', '0'} end
  redis.call('HSET', KEYS[1], 'counter', counter, 'rotated', ARGV[2], 'used', ARGV[2],
             'address', ARGV[5], 'agent', ARGV[6])
  redis.call('EXPIRE', KEYS[1], math.ceil(left))
  return {'rotated', tostring(counter)}
end
if asked == counter - 1 and at - tonumber(redis.call('HGET', KEYS[1], 'rotated')) <= grace then
  return {'repeated', tostring(counter)}
end
return {'reused', '0'}
"""


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in. Times are seconds since 1970."""

    id: str
    user: str
    nonce: str
    created: float
    ends: float
    used: float
    address: str
    agent: str
    counter: int = 1
    rotated: float = 0.0
    stamp: str = ""
    """Tells which of the user's passwords, one after the other, it was opened with."""
    impersonator: str = ""
    """The platform admin who acts in the user's name, if it is not the user."""


Rotation = Literal["rotated", "repeated", "reused", "gone"]


def _key(session: str) -> str:
    return f"grid8:session:{session}"


def _index(user: str) -> str:
    return f"grid8:sessions:{user}"


def _impersonations(admin: str) -> str:
    return f"grid8:impersonations:{admin}"


class SessionStore:
    """Reads and writes sessions. Raises redis.RedisError when Redis is away."""

    def __init__(self, redis: Redis, key: bytes, *, idle: int, absolute: int, grace: int) -> None:
        self._redis = redis
        self._secret = key
        self._idle = idle
        self._absolute = absolute
        self._grace = grace

    def new(self, id: str, user: str, *, address: str, agent: str, stamp: str = "") -> Session:
        """A session to be stored with ``put``."""
        at = time.time()
        return Session(
            id=id,
            user=user,
            nonce=secrets.token_urlsafe(16),
            created=at,
            ends=at + self._absolute,
            used=at,
            address=address,
            agent=agent,
            rotated=at,
            stamp=stamp,
        )

    def new_impersonation(
        self, id: str, user: str, *, admin: str, life: int, address: str, agent: str
    ) -> Session:
        """A session of an admin in a user's name, to be stored with ``put``."""
        session = self.new(id, user, address=address, agent=agent)
        return replace(session, ends=session.created + life, impersonator=admin)

    async def put(self, session: Session) -> None:
        """Store a session until it has been idle for too long. Repeating it is harmless."""
        left = math.ceil(session.ends - time.time())
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(_key(session.id), mapping=cast(Any, asdict(session)))
            pipe.expire(_key(session.id), min(self._idle, left))
            pipe.zadd(_index(session.user), {session.id: session.ends})
            pipe.expire(_index(session.user), self._absolute)
            if session.impersonator:
                listed = _impersonations(session.impersonator)
                pipe.zadd(listed, {session.id: session.ends})
                pipe.expire(listed, self._absolute)
            await pipe.execute()

    async def find(self, id: str) -> Session | None:
        """The session, unless it has ended."""
        raw = cast(dict[bytes, bytes], await self._redis.hgetall(_key(id)))
        return _session(raw) if raw else None

    async def owner(self, id: str) -> str | None:
        """The user of a live session: the check of every request."""
        user = await self._redis.hget(_key(id), "user")
        return user.decode() if isinstance(user, bytes) else user

    async def owners(self, ids: Sequence[str]) -> dict[str, str]:
        """The users of those of these sessions that are live."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for id in ids:
                pipe.hget(_key(id), "user")
            users = await pipe.execute()
        return {id: user.decode() for id, user in zip(ids, users, strict=True) if user}

    async def of(self, user: str) -> list[Session]:
        """A user's live sessions, newest first."""
        at = time.time()
        await self._redis.zremrangebyscore(_index(user), 0, at)
        listed = cast(list[bytes], await self._redis.zrange(_index(user), 0, -1))
        ids = [id.decode() for id in listed]
        async with self._redis.pipeline(transaction=False) as pipe:
            for id in ids:
                pipe.hgetall(_key(id))
            found = [_session(raw) for raw in await pipe.execute() if raw]
        ended = set(ids) - {session.id for session in found}
        if ended:
            await self._redis.zrem(_index(user), *ended)
        return sorted(found, key=lambda session: -session.created)

    async def impersonations_of(self, admin: str) -> list[Session]:
        """The live sessions in which an admin acts in somebody's name."""
        await self._redis.zremrangebyscore(_impersonations(admin), 0, time.time())
        listed = cast(list[bytes], await self._redis.zrange(_impersonations(admin), 0, -1))
        found = [await self.find(id.decode()) for id in listed]
        return [session for session in found if session is not None]

    async def revoke(self, session: str, user: str) -> None:
        """End a session. Repeating it is harmless."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.delete(_key(session))
            pipe.zrem(_index(user), session)
            await pipe.execute()

    def refresh_token(self, session: Session, counter: int | None = None) -> str:
        """The refresh token that is current when the session's counter is ``counter``."""
        count = session.counter if counter is None else counter
        return f"g8r_{session.id}.{count}.{self._mac(session, count)}"

    async def rotate(
        self, token: str, *, address: str, agent: str
    ) -> tuple[Rotation, Session | None, str]:
        """Exchange a refresh token: what came of it, the session, and the next token.

        ``rotated`` and ``repeated`` carry a token; ``reused`` carries the session that must
        end; ``gone`` means the token fits no live session.
        """
        id, count = _parts(token)
        session = await self.find(id) if id else None
        if session is None or not hmac.compare_digest(
            token.rpartition(".")[2].encode("utf-8", "replace"), self._mac(session, count).encode()
        ):
            return "gone", None, ""
        reply: list[Any] = await self._redis.eval(
            _ROTATE, 1, _key(id), str(count), str(time.time()), str(self._grace),
            str(self._idle), address, agent,
        )  # fmt: skip
        verdict, counter = (part.decode() for part in reply)
        if verdict in ("rotated", "repeated"):
            return verdict, session, self.refresh_token(session, int(counter))
        return verdict, session if verdict == "reused" else None, ""

    def _mac(self, session: Session, counter: int) -> str:
        text = f"{session.id}|{counter}|{session.nonce}".encode()
        digest = hmac.new(self._secret, text, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _parts(token: str) -> tuple[str, int]:
    head, _, _ = token.rpartition(".")
    id, _, counter = head.rpartition(".")
    if (
        not id.startswith("g8r_")
        or not (counter.isascii() and counter.isdigit())
        or len(counter) > 9
    ):
        return "", 0
    return id.removeprefix("g8r_"), int(counter)


def _session(raw: dict[bytes, bytes]) -> Session:
    text = {name.decode(): value.decode() for name, value in raw.items()}
    return Session(
        id=text["id"],
        user=text["user"],
        nonce=text["nonce"],
        created=float(text["created"]),
        ends=float(text["ends"]),
        used=float(text["used"]),
        address=text["address"],
        agent=text["agent"],
        counter=int(text["counter"]),
        rotated=float(text["rotated"]),
        stamp=text.get("stamp", ""),
        impersonator=text.get("impersonator", ""),
    )
