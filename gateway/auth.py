"""Who is asking, and whether they may: token or key, session, membership, permission."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Generic, TypeVar

from aiohttp import web

from bus.batching import Batcher
from contracts.actor import Actor, PermissionMissing
from contracts.auth.errors import (
    KeyExpired,
    KeyRotated,
    NotWhileImpersonating,
    PersonNeeded,
)
from contracts.corp.errors import OrganizationNotFound
from contracts.permissions import PLATFORM_GRANTS, Permission, PlatformPermission
from contracts.types import now
from gateway.errors import SessionEnded, TokenMissing, TokenRefused
from gateway.scopes import depends_on_brand
from gateway.table import Access, Route
from handlers.auth.queries import KnownKey, find_key, find_platform_role
from handlers.authority import find_authority
from infra.api_keys import PREFIX, KeyUses, fits, id_in
from infra.random_tokens import digest_of
from infra.sessions import SessionStore
from infra.tokens import KeyRing, TokenInvalid

REMEMBERED = 20_000

T = TypeVar("T")


class Authenticator:
    """Turns a request into an actor."""

    def __init__(
        self, keys: KeyRing, sessions: SessionStore, uses: KeyUses, *, believe: float
    ) -> None:
        self._keys = keys
        self._uses = uses
        self._owners: Batcher[str, str] = Batcher(sessions.owners)
        self._live: Believed[str] = Believed(believe)
        self._known: Believed[KnownKey] = Believed(believe)

    async def actor(self, request: web.Request, route: Route) -> Actor | None:
        """The actor of a request; None on a public route.

        Whether one with other roles in brands has the permission where it depends on the brand,
        is asked by who knows the brand: see scopes.py.

        Raises TokenMissing, TokenRefused, SessionEnded, KeyExpired or KeyRotated (401),
        OrganizationNotFound (404, also for somebody else's), or PermissionMissing, PersonNeeded
        or NotWhileImpersonating (403).
        """
        allow = route.allow
        if allow is Access.PUBLIC:
            return None
        actor = await self._who(request)
        if actor.impersonator is not None and not route.by_impersonators:
            raise NotWhileImpersonating()
        if isinstance(allow, Permission):
            found = await find_authority(actor, request.match_info["org"])
            if found is None:
                if actor.is_key:
                    await self._check_key(actor)
                raise OrganizationNotFound()
            if not depends_on_brand(route, found):
                found.require(allow)
            return found
        if actor.is_key and allow is not Access.KNOWN:
            raise PersonNeeded()
        if isinstance(allow, PlatformPermission):
            role = await find_platform_role(actor)
            if role is None or allow not in PLATFORM_GRANTS[role]:
                raise PermissionMissing(f"This needs the permission {allow.value}.")
        return actor

    async def _who(self, request: web.Request) -> Actor:
        token = _token(request)
        if token.startswith(PREFIX):
            actor = await self._key(token)
            self._uses.note(actor.user, request["address"])
            return actor
        try:
            claims = self._keys.verify(token)
        except TokenInvalid as error:
            raise TokenRefused() from error
        if await self._owner(claims.session) != claims.user:
            raise SessionEnded()
        return Actor(user=claims.user, session=claims.session, impersonator=claims.impersonator)

    async def _key(self, text: str) -> Actor:
        id = id_in(text)
        if id is None:
            raise TokenRefused("This is no API key: it is incomplete, or has a typing error.")
        actor, digest = Actor(user=id), digest_of(text)
        key = self._known.get(id)
        if key is None or not fits(digest, key.digest):
            # It may have been rotated a moment ago, and this be the new secret.
            key = await find_key(actor)
            self._known.put(id, key)
        if key is None:
            raise TokenRefused("There is no such API key, or it was revoked.")
        if not fits(digest, key.digest):
            if not fits(digest, key.previous_digest):
                raise TokenRefused("There is no such API key, or it was revoked.")
            if key.previous_until is None or key.previous_until <= now():
                raise KeyRotated()
        if key.expired:
            raise KeyExpired()
        # ``find_authority`` gives it an organization; outside of one it may do nothing.
        return Actor(user=id, scopes=frozenset())

    async def _check_key(self, actor: Actor) -> None:
        """Raise TokenRefused or KeyExpired where the key, believed until now, has ended."""
        key = await find_key(actor)
        self._known.put(actor.user, key)
        if key is None:
            raise TokenRefused("There is no such API key, or it was revoked.")
        if key.expired:
            raise KeyExpired()

    async def _owner(self, session: str) -> str | None:
        """The session's user, believed for a moment: revocation takes that long at most."""
        known = self._live.get(session)
        if known is not None:
            return known
        owner = await self._owners.find(session)
        self._live.put(session, owner)
        return owner


def _token(request: web.Request) -> str:
    values = request.headers.getall("Authorization", [])
    if not values:
        raise TokenMissing("Send Authorization: Bearer <access token>.")
    scheme, _, token = values[0].partition(" ")
    token = token.strip()
    if len(values) > 1 or scheme.lower() != "bearer" or not token:
        raise TokenMissing("Send one Authorization header: Bearer <access token>.")
    return token


class Believed(Generic[T]):
    """What was looked up, for a moment."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._values: OrderedDict[str, tuple[T, float]] = OrderedDict()

    def get(self, name: str) -> T | None:
        """The value, while it may be believed."""
        known = self._values.get(name)
        if known is None or time.monotonic() - known[1] >= self._seconds:
            return None
        return known[0]

    def put(self, name: str, value: T | None) -> None:
        """Remember what was found; nothing is forgotten at once."""
        self._values.pop(name, None)
        if value is not None:
            self._values[name] = (value, time.monotonic())
            if len(self._values) > REMEMBERED:
                self._values.popitem(last=False)
