"""Event streams that go on after their ticket is spent.

A browser's EventSource comes back by itself, to the address it has, which holds a ticket that
is used. So the ticket stays good for one thing: going on with the stream it began. Whoever
does so shows the secret that is part of every ``id:`` of that stream, and names the same
channels. Redis keeps digests of ticket, secret and channels, about 400 bytes in all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import cast

from redis.asyncio import Redis

from infra.tickets import Ticket, is_ticket, stream_key, ticket_key

AT_ONCE = 500
"""Streams that are looked at in one trip."""

# The ticket ends and its stream begins in one step: a kill between would leave neither.
_BEGIN = """
local ticket = redis.call('GETDEL', KEYS[1])
if ticket then
  redis.call('HSET', KEYS[2], 'ticket', ticket, 'secret', ARGV[1], 'channels', ARGV[2], 'holder', ARGV[3])
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
return ticket
"""

_PUT = """
redis.call('HSET', KEYS[1], 'ticket', ARGV[1], 'secret', ARGV[2], 'channels', ARGV[3], 'holder', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
"""


@dataclass(slots=True)
class EventStream:
    """One client's event stream, over as many connections as it takes; this is one of them."""

    key: str
    ticket: Ticket
    secret: str
    """Known to the client alone, and to who serves it now."""
    channels: str
    holder: str
    """Which connection serves the stream: the last one that came."""
    resumed: bool
    kept_until: float = 0.0
    """Monotonic time at which Redis has to be told again that the stream lives."""


class EventStreams:
    """Begins streams, goes on with them, and keeps them. Raises redis.RedisError.

    ``keep``: seconds a stream can be gone on with after its last connection.
    """

    def __init__(self, redis: Redis, keep: int) -> None:
        self._redis = redis
        self._keep = keep

    async def begin(self, ticket: str, channels: Collection[str]) -> EventStream | None:
        """Spend the ticket; None when there is no such ticket, or it was spent before."""
        if not is_ticket(ticket):
            return None
        secret, holder = secrets.token_urlsafe(12), secrets.token_urlsafe(9)
        key, named = stream_key(ticket), _digest("\n".join(sorted(channels)))
        value = await self._redis.eval(
            _BEGIN, 2, ticket_key(ticket), key, _digest(secret), named, holder, str(self._keep)
        )
        if value is None:
            return None
        return self._kept(EventStream(key, _ticket(value), secret, named, holder, resumed=False))

    async def resume(
        self, ticket: str, channels: Collection[str], secret: str
    ) -> EventStream | None:
        """Go on with the ticket's stream in place of its former connection.

        None unless the ticket began a stream with this secret and these channels.
        """
        if not is_ticket(ticket):
            return None
        key, named = stream_key(ticket), _digest("\n".join(sorted(channels)))
        found = await self._redis.hmget(key, ["ticket", "secret", "channels"])
        value, kept, same = cast(list[bytes | None], found)
        if value is None or kept is None or same is None:
            return None
        fits = hmac.compare_digest(kept, _digest(secret).encode())
        if not fits or same != named.encode():
            return None
        holder = secrets.token_urlsafe(9)
        return await self._put(
            EventStream(key, _ticket(value), secret, named, holder, resumed=True)
        )

    async def keep(self, streams: Sequence[EventStream]) -> list[EventStream]:
        """Keep these alive; which of them another connection has taken over meanwhile."""
        lost: list[EventStream] = []
        for first in range(0, len(streams), AT_ONCE):
            batch = streams[first : first + AT_ONCE]
            at = time.monotonic()
            due = [each for each in batch if at >= each.kept_until]
            async with self._redis.pipeline(transaction=False) as pipeline:
                for each in batch:
                    pipeline.hget(each.key, "holder")
                for each in due:
                    pipeline.expire(each.key, self._keep)
                holders = await pipeline.execute()
            for each in due:
                self._kept(each)
            for each, holder in zip(batch, holders, strict=False):
                if holder is None:
                    # Redis has lost its data. Whoever is served now may go on all the same.
                    await self._put(each)
                elif holder != each.holder.encode():
                    lost.append(each)
        return lost

    async def _put(self, stream: EventStream) -> EventStream:
        await self._redis.eval(
            _PUT, 1, stream.key, json.dumps(asdict(stream.ticket)), _digest(stream.secret),
            stream.channels, stream.holder, str(self._keep),
        )  # fmt: skip
        return self._kept(stream)

    def _kept(self, stream: EventStream) -> EventStream:
        # A tenth of the time more or less is nothing to anybody, and spares Redis writes.
        stream.kept_until = time.monotonic() + self._keep / 10
        return stream


def _ticket(value: bytes) -> Ticket:
    return Ticket(**json.loads(value))


def _digest(text: str) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).decode().rstrip("=")
    )
