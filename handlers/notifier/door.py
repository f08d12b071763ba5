"""Who may connect at all: the page's origin, and the ticket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from aiohttp import web

from contracts.realtime.errors import OriginForbidden, TicketInvalid
from handlers.notifier.places import Place, Places
from infra.settings import Settings
from infra.tickets import Ticket, TicketStore

PLACE: web.RequestKey[Place] = web.RequestKey("place", Place)
"""What a request holds until it has ended, see app.py."""


Owner = Callable[[str], Awaitable[str | None]]
"""The user of a live session."""


class Door:
    """Admits connections."""

    def __init__(
        self, tickets: TicketStore, owner: Owner, origins: Iterable[str], places: Places
    ) -> None:
        self._tickets = tickets
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

    async def admit(self, request: web.Request) -> Ticket:
        """Spend the request's ticket, and give it a place, which ``leave`` gives back.

        Raises TicketInvalid, TooManySockets, or redis.RedisError.
        """
        given = request.query.getall("ticket", [])
        ticket = await self._tickets.redeem(given[0]) if len(given) == 1 else None
        if ticket is None:
            raise TicketInvalid()
        if ticket.session and await self._owner(ticket.session) != ticket.user:
            raise TicketInvalid("The session has ended.")
        transport = request.path.rpartition("/")[2]
        request[PLACE] = await self._places.take(ticket.user, ticket.org, transport)
        return ticket

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
