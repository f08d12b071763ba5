"""Who may connect at all: the page's origin, and the ticket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from urllib.parse import urlsplit

from aiohttp import web

from contracts.realtime.errors import (
    OriginForbidden,
    RealtimeUnavailable,
    TicketInvalid,
    TooManySockets,
)
from handlers.notifier.places import Place, Places
from infra.event_streams import EventStream, EventStreams
from infra.settings import Settings
from infra.tickets import Ticket, TicketStore, is_ticket

PLACE: web.RequestKey[Place] = web.RequestKey("place", Place)
"""What a request holds until it has ended, see app.py."""


Owner = Callable[[str], Awaitable[str | None]]
"""The user of a live session."""


class Door:
    """Admits connections."""

    def __init__(
        self,
        tickets: TicketStore,
        streams: EventStreams,
        owner: Owner,
        origins: Iterable[str],
        places: Places,
    ) -> None:
        self._tickets = tickets
        self._streams = streams
        self._owner = owner
        self._places = places
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
        """Spend the request's ticket, and give it a place, which ``leave`` gives back.

        Raises TicketInvalid, TooManySockets, or redis.RedisError.
        """
        ticket = await self._tickets.redeem(self.ticket_of(request))
        if ticket is None:
            raise TicketInvalid()
        await self._check_session(ticket)
        await self._place(request, ticket)
        return ticket

    async def admit_stream(
        self, request: web.Request, channels: Collection[str], secret: str | None
    ) -> EventStream:
        """Spend the request's ticket, or go on with the stream of one that is spent.

        It is given a place, as by ``admit``. Raises TicketInvalid, TooManySockets,
        RealtimeUnavailable where a stream that goes on finds no place for now, or
        redis.RedisError.
        """
        ticket = self.ticket_of(request)
        stream = None
        if secret is not None:
            stream = await self._streams.resume(ticket, channels, secret)
        stream = stream or await self._streams.begin(ticket, channels)
        if stream is None:
            raise TicketInvalid()
        await self._check_session(stream.ticket)
        try:
            await self._place(request, stream.ticket)
        except TooManySockets as error:
            if not stream.resumed:
                raise
            # It may be its own former connection that has the place.
            raise RealtimeUnavailable(error.detail, retry_after=error.retry_after) from error
        return stream

    async def _check_session(self, ticket: Ticket) -> None:
        if ticket.session and await self._owner(ticket.session) != ticket.user:
            raise TicketInvalid("The session has ended.")

    async def _place(self, request: web.Request, ticket: Ticket) -> None:
        transport = request.path.rpartition("/")[2]
        request[PLACE] = await self._places.take(ticket.user, ticket.org, transport)

    def keep(self, request: web.Request) -> Callable[[], None]:
        """Have what the request holds outlive it; the answer gives it back, once or often."""
        place = request[PLACE]
        del request[PLACE]
        return partial(self._places.give_back, place)

    def leave(self, request: web.Request) -> None:
        """Give back what the request held, if anything."""
        place = request.get(PLACE)
        if place is not None:
            self._places.give_back(place)


def allowed_origins(settings: Settings) -> list[str]:
    """Pages of the gateway and of the notifier, and those the settings name."""
    own = (settings.gateway_url, settings.notifier_url)
    return [*settings.gateway.cors_origins, *(_origin(url) for url in own)]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
