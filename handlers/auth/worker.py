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
from contracts.base import Command, Event
from handlers.auth.handlers import Accounts, Sessions
from handlers.domain import Context, Domain
from infra.passwords import Passwords
from infra.secrets import open_sessions
from infra.tokens import KeyRing

REACTIONS: dict[type[Event], Handler] = {}


def commands_of(accounts: Accounts, sessions: Sessions) -> dict[type[Command], Handler]:
    """Command → handler."""
    return {
        RegisterUser: accounts.register_user,
        UpdateProfile: accounts.update_profile,
        OpenSession: sessions.open_session,
        RefreshSession: sessions.refresh_session,
        RevokeSession: sessions.revoke_session,
        RevokeSessions: sessions.revoke_sessions,
    }


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Auth needs bcrypt threads, sessions in Redis, and the signing keys."""
    settings = context.settings.auth
    passwords = Passwords(settings.bcrypt_cost)
    accounts = Accounts(passwords)
    sessions = Sessions(
        passwords, open_sessions(context.redis, context.settings), KeyRing(settings), settings
    )
    try:
        yield Domain("auth", commands_of(accounts, sessions), REACTIONS)
    finally:
        passwords.close()
