"""How much of its quota an organization uses."""

from __future__ import annotations

from aiohttp import web

from contracts.actor import Actor
from gateway.dispatch import respond
from gateway.limits import parse_parameters
from gateway.state import Gateway


async def get_usage(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """How many bytes an organization stores, and how many it may."""
    parse_parameters(request, None)
    usage = await gateway.quota.usage(actor)
    return respond(request, 200, usage.model_dump(mode="json"))
