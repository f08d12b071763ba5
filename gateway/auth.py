"""Who is asking, and whether they may: token, session, membership, permission."""

from __future__ import annotations

import time
from collections import OrderedDict

from aiohttp import web

from bus.batching import Batcher
from contracts.actor import Actor
from contracts.corp.errors import OrganizationNotFound
from contracts.permissions import Permission
from gateway.errors import SessionEnded, TokenMissing, TokenRefused
from gateway.scopes import depends_on_brand
from gateway.table import Access, Route
from handlers.authority import find_authority
from infra.sessions import SessionStore
from infra.tokens import KeyRing, TokenInvalid

REMEMBERED = 20_000


class Authenticator:
    """Turns a request into an actor."""

    def __init__(self, keys: KeyRing, sessions: SessionStore, *, believe: float) -> None:
        self._keys = keys
        self._believe = believe
        self._owners: Batcher[str, str] = Batcher(sessions.owners)
        self._live: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def actor(self, request: web.Request, route: Route) -> Actor | None:
        """The actor of a request; None on a public route.

        Whether one with other roles in brands has the permission where it depends on the brand,
        is asked by who knows the brand: see scopes.py.

        Raises TokenMissing, TokenRefused or SessionEnded (401), OrganizationNotFound (404,
        also for somebody else's), or PermissionMissing (403).
        """
        allow = route.allow
        if allow is Access.PUBLIC:
            return None
        user, session = await self._signed_in(request)
        if not isinstance(allow, Permission):
            return Actor(user=user, session=session)
        org = request.match_info["org"]
        actor = await find_authority(Actor(user=user, session=session), org)
        if actor is None:
            raise OrganizationNotFound()
        if not depends_on_brand(route, actor):
            actor.require(allow)
        return actor

    async def _signed_in(self, request: web.Request) -> tuple[str, str]:
        values = request.headers.getall("Authorization", [])
        if not values:
            raise TokenMissing("Send Authorization: Bearer <access token>.")
        scheme, _, token = values[0].partition(" ")
        if len(values) > 1 or scheme.lower() != "bearer" or not token.strip():
            raise TokenMissing("Send one Authorization header: Bearer <access token>.")
        try:
            claims = self._keys.verify(token.strip())
        except TokenInvalid as error:
            raise TokenRefused() from error
        if await self._owner(claims.session) != claims.user:
            raise SessionEnded()
        return claims.user, claims.session

    async def _owner(self, session: str) -> str | None:
        """The session's user, believed for a moment: revocation takes that long at most."""
        known = self._live.get(session)
        if known is not None and time.monotonic() - known[1] < self._believe:
            return known[0]
        owner = await self._owners.find(session)
        self._live.pop(session, None)
        if owner is not None:
            self._live[session] = (owner, time.monotonic())
            if len(self._live) > REMEMBERED:
                self._live.popitem(last=False)
        return owner
