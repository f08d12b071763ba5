"""Auth's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.handling import Handler
from contracts.auth.commands import (
    OpenSession,
    RefreshSession,
    RegisterUser,
    RevokeSession,
    RevokeSessions,
    UpdateProfile,
)
from contracts.base import Event
from handlers.auth.handlers import AuthHandlers
from handlers.domain import Context, Domain
from infra.passwords import Passwords
from infra.secrets import open_sessions
from infra.tokens import KeyRing

REACTIONS: dict[type[Event], Handler] = {}


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Auth needs bcrypt threads, sessions in Redis, and the signing keys."""
    settings = context.settings.auth
    passwords = Passwords(settings.bcrypt_cost)
    handlers = AuthHandlers(
        passwords, open_sessions(context.redis, context.settings), KeyRing(settings), settings
    )
    try:
        yield Domain(
            "auth",
            commands={
                RegisterUser: handlers.register_user,
                UpdateProfile: handlers.update_profile,
                OpenSession: handlers.open_session,
                RefreshSession: handlers.refresh_session,
                RevokeSession: handlers.revoke_session,
                RevokeSessions: handlers.revoke_sessions,
            },
        )
    finally:
        passwords.close()
