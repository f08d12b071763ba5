"""Who may connect at all: the page's origin, and the ticket."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from aiohttp import web

from contracts.realtime.errors import OriginForbidden, TicketInvalid
from handlers.notifier.revocation import Owner
from infra.event_streams import EventStream, EventStreams
from infra.settings import Settings
from infra.tickets import Ticket, TicketStore, is_ticket


class Door:
    """Admits connections."""

    def __init__(
        self, tickets: TicketStore, streams: EventStreams, owner: Owner, origins: Iterable[str]
    ) -> None:
        self._tickets = tickets
        self._streams = streams
        self._owner = owner
        self._origins = frozenset(origins)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may connect and read."""
        return origin in self._origins or "*" in self._origins

    def check_origin(self, request: web.Request) -> None:
        """Raise OriginForbidden for a page from elsewhere. What is no browser has no origin."""
        origin = request.headers.get("Origin")
        if origin is not None and not self.allows(origin):
            raise OriginForbidden()

    def ticket_of(self, request: web.Request) -> str:
        """The ticket a request shows, spent or not. Raises TicketInvalid."""
        given = request.query.getall("ticket", [])
        if len(given) != 1 or not is_ticket(given[0]):
            raise TicketInvalid()
        return given[0]

    async def admit(self, request: web.Request) -> Ticket:
        """Spend the request's ticket. Raises TicketInvalid, or redis.RedisError."""
        ticket = await self._tickets.redeem(self.ticket_of(request))
        if ticket is None:
            raise TicketInvalid()
        await self._check_session(ticket)
        return ticket

    async def admit_stream(
        self, request: web.Request, channels: Collection[str], secret: str | None
    ) -> EventStream:
        """Spend the request's ticket, or go on with the stream of one that is spent.

        Raises TicketInvalid, or redis.RedisError.
        """
        ticket = self.ticket_of(request)
        stream = None
        if secret is not None:
            stream = await self._streams.resume(ticket, channels, secret)
        stream = stream or await self._streams.begin(ticket, channels)
        if stream is None:
            raise TicketInvalid()
        await self._check_session(stream.ticket)
        return stream

    async def _check_session(self, ticket: Ticket) -> None:
        if ticket.session and await self._owner(ticket.session) != ticket.user:
            raise TicketInvalid("The session has ended.")


def allowed_origins(settings: Settings) -> list[str]:
    """Pages of the gateway and of the notifier, and those the settings name."""
    own = (settings.gateway_url, settings.notifier_url)
    return [*settings.gateway.cors_origins, *(_origin(url) for url in own)]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
