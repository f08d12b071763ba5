"""Tickets: a browser's WebSocket and EventSource cannot send an Authorization header."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from contracts.actor import Actor
from contracts.base import View
from gateway.dispatch import respond
from gateway.errors import ValidationFailed
from gateway.limits import parse_object, parse_parameters, read_body
from gateway.patience import patience
from gateway.state import Gateway
from infra.tickets import sse_url, ws_url


class TicketView(View):
    """Good for one connection within a minute; an event stream goes on with its own after that."""

    ticket: str
    expires_in: int = Field(ge=1, description="Seconds it can be redeemed.")
    ws_url: str
    sse_url: str


async def create_ticket(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """A ticket for one WebSocket or SSE connection."""
    parse_parameters(request, None)
    if parse_object(request, await read_body(request, gateway.settings.gateway.body_limit)):
        raise ValidationFailed("A ticket takes no fields.")
    with patience():
        ticket, _ = await gateway.tickets.issue(
            actor.user, actor.session or "", actor.tenant, actor.impersonator or ""
        )
    view = TicketView(
        ticket=ticket,
        expires_in=gateway.settings.notifier.ticket_ttl,
        ws_url=ws_url(gateway.settings),
        sse_url=sse_url(gateway.settings),
    )
    return respond(request, 201, view.model_dump(mode="json"), {"Cache-Control": "no-store"})
