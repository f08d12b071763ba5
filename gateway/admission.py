"""Who is let in: the actor of a request, within the rate that they are allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from contracts.actor import Actor
from contracts.errors import DomainError
from gateway.errors import DependencyDown, RateLimited
from gateway.patience import patience
from gateway.rates import Policy, RatesAway
from gateway.table import Access, Route
from infra.networks import customer_network

if TYPE_CHECKING:
    from gateway.state import Gateway

STANDING = "standing"
"""Where a request keeps what the RateLimit headers of its answer say."""

LIMIT_HEADERS = {
    "Retry-After": {"schema": {"type": "string"}, "description": "Seconds until there is room."},
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": 'What is allowed, as in `"caller";q=60000;w=60`; on every limited answer.',
    },
    "RateLimit": {
        "schema": {"type": "string"},
        "description": (
            'What is left, and in how many seconds it is whole again, as in `"caller";r=59990;t=31`.'
        ),
    },
}
"""As OpenAPI describes them."""


async def admit(request: web.Request, route: Route, gateway: Gateway) -> Actor | None:
    """The actor of a request; None on a public route.

    Raises what ``Authenticator.actor`` does, RateLimited (429), and on the routes by which
    somebody gets in DependencyDown (503) while nobody can tell how often they tried.
    """
    if route.allow is Access.PUBLIC:
        await _limit(request, gateway, route.limited_as, customer_network(request["address"]))
        return None
    try:
        with patience():
            actor = await gateway.auth.actor(request, route)
    except DependencyDown:
        raise
    except DomainError:
        await _limit(request, gateway, "address", customer_network(request["address"]))
        raise
    await _limit(request, gateway, "caller", actor.caller if actor else "")
    return actor


async def _limit(request: web.Request, gateway: Gateway, policy: Policy, key: str) -> None:
    try:
        standing = await gateway.rates.take(policy, key)
    except RatesAway as error:
        if policy == "identity":
            raise DependencyDown(retry_after=5) from error
        return
    if standing is None:
        return
    request[STANDING] = standing
    if not standing.allowed:
        raise RateLimited(retry_after=standing.seconds)
