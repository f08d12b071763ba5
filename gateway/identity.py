"""Routes about the caller that are neither one command nor one query."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from contracts.actor import Actor
from contracts.auth.views import SessionView, UserView
from contracts.base import View
from gateway.dispatch import respond
from gateway.limits import parse_parameters
from gateway.state import Gateway
from handlers.auth.queries import get_profile, list_sessions
from handlers.corp.queries import list_memberships


class SessionsView(View):
    """Where a user is signed in."""

    items: tuple[SessionView, ...]
    next_cursor: None = None


class KeySetView(View):
    """A JWK Set (RFC 7517)."""

    keys: tuple[dict[str, Any], ...]


async def user_view(actor: Actor, _: Any = None) -> UserView:
    """The signed-in user, with what they belong to."""
    profile = await get_profile(actor)
    return UserView(
        **profile.model_dump(),
        memberships=tuple(await list_memberships(actor)),
        impersonator=actor.impersonator,
    )


async def get_me(request: web.Request, _: Gateway, actor: Actor) -> web.Response:
    """The signed-in user, with what they belong to."""
    parse_parameters(request, None)
    view = await user_view(actor)
    return respond(request, 200, view.model_dump(mode="json"), revised=False)


async def get_sessions(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """Where the caller is signed in, newest first."""
    parse_parameters(request, None)
    view = SessionsView(items=tuple(await list_sessions(actor, gateway.sessions)))
    return respond(request, 200, view.model_dump(mode="json"))


async def get_jwks(request: web.Request, gateway: Gateway, _: None) -> web.Response:
    """The public keys that verify access tokens."""
    parse_parameters(request, None)
    # Whoever honours it has heard of a new key before it signs.
    kept = int(min(300, gateway.settings.auth.key_published))
    caching = {"Cache-Control": f"public, max-age={kept}"}
    return respond(request, 200, gateway.keys.jwks(), caching)
