"""Tickets: a browser's WebSocket and EventSource cannot send an Authorization header."""

from __future__ import annotations

from aiohttp import web
from infra.tickets import sse_url, ws_url

from contracts.actor import Actor
from contracts.base import View
from contracts.types import Instant
from gateway.dispatch import respond
from gateway.errors import ValidationFailed
from gateway.limits import parse_object, parse_parameters, read_body
from gateway.state import Gateway


class TicketView(View):
    """Good for one connection within a minute."""

    ticket: str
    expires_at: Instant
    ws_url: str
    sse_url: str


async def create_ticket(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """A ticket for one WebSocket or SSE connection."""
    parse_parameters(request, None)
    if parse_object(request, await read_body(request, gateway.settings.gateway.body_limit)):
        raise ValidationFailed("A ticket takes no fields.")
    ticket, expires_at = await gateway.tickets.issue(actor.user, actor.session or "", actor.tenant)
    view = TicketView(
        ticket=ticket,
        expires_at=expires_at,
        ws_url=ws_url(gateway.settings),
        sse_url=sse_url(gateway.settings),
    )
    return respond(request, 201, view.model_dump(mode="json"), {"Cache-Control": "no-store"})
