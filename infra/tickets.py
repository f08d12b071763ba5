"""Realtime tickets: what a browser's WebSocket and EventSource show instead of a token.

The gateway issues them, the notifier redeems them, each once and within a minute. Redis
keeps a digest of a ticket, never the ticket. How an event stream goes on after its ticket was
spent: see event_streams.py.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from redis.asyncio import Redis

from contracts.types import now
from infra.settings import Settings

WS_PATH = "/v1/realtime/ws"
SSE_PATH = "/v1/realtime/sse"

_PREFIX = "g8t_"
_LENGTH = len(_PREFIX) + 43


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who connects, by which session, and to which organization's channels.

    ``session`` is empty when it was not a session that asked for the ticket, ``impersonator``
    when nobody acts in the user's name.
    """

    user: str
    session: str
    org: str
    impersonator: str = ""


def is_ticket(text: str) -> bool:
    """Whether a text has the form of a ticket."""
    return len(text) == _LENGTH and text.startswith(_PREFIX) and text.isascii()


def ticket_key(ticket: str) -> str:
    """Where Redis keeps a ticket, in one slot with what comes of it."""
    return f"grid8:ticket:{{{_digest(ticket)}}}"


def stream_key(ticket: str) -> str:
    """Where Redis keeps which event stream a spent ticket has begun."""
    return f"grid8:stream:{{{_digest(ticket)}}}"


class TicketStore:
    """Issues and redeems tickets. Raises redis.RedisError when Redis is away."""

    def __init__(self, redis: Redis, ttl: int) -> None:
        self._redis = redis
        self._ttl = ttl

    async def issue(
        self, user: str, session: str, org: str, impersonator: str = ""
    ) -> tuple[str, datetime]:
        """A new ticket, and until when it can be redeemed."""
        ticket = _PREFIX + secrets.token_urlsafe(32)
        value = json.dumps(asdict(Ticket(user, session, org, impersonator)))
        await self._redis.set(ticket_key(ticket), value, ex=self._ttl)
        return ticket, now() + timedelta(seconds=self._ttl)

    async def redeem(self, ticket: str) -> Ticket | None:
        """Whose ticket it is; None when there is no such ticket, or it was redeemed before."""
        value = await self._redis.getdel(ticket_key(ticket)) if is_ticket(ticket) else None
        return None if value is None else Ticket(**json.loads(value))


def ws_url(settings: Settings) -> str:
    """Where a WebSocket is opened: ``ws://…``, or ``wss://…`` where the notifier has https."""
    scheme, _, rest = settings.notifier_url.rstrip("/").partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}{WS_PATH}"


def sse_url(settings: Settings) -> str:
    """Where an EventSource connects."""
    return settings.notifier_url.rstrip("/") + SSE_PATH


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
