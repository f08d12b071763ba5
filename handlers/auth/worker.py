"""Auth's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.handling import Handler
from contracts.auth.commands import (
    AppointAdmin,
    ChangeUser,
    CreateApiKey,
    EndImpersonations,
    EndSessions,
    Impersonate,
    OpenSession,
    RefreshSession,
    RegisterUser,
    RevokeApiKey,
    RevokeSession,
    RevokeSessions,
    RotateApiKey,
    UpdateProfile,
)
from contracts.base import Command, Event
from contracts.corp.events import OrganizationDeleted
from handlers.auth import reactions
from handlers.auth.handlers import Accounts, Platform, Sessions, api_keys
from handlers.domain import Context, Domain
from infra.passwords import Passwords
from infra.secrets import open_sessions
from infra.tokens import KeyRing

REACTIONS: dict[type[Event], Handler] = {OrganizationDeleted: reactions.remove_the_keys}


def commands_of(
    accounts: Accounts, sessions: Sessions, platform: Platform
) -> dict[type[Command], Handler]:
    """Command → handler."""
    return {
        RegisterUser: accounts.register_user,
        UpdateProfile: accounts.update_profile,
        OpenSession: sessions.open_session,
        RefreshSession: sessions.refresh_session,
        RevokeSession: sessions.revoke_session,
        RevokeSessions: sessions.revoke_sessions,
        CreateApiKey: api_keys.create_api_key,
        RotateApiKey: api_keys.rotate_api_key,
        RevokeApiKey: api_keys.revoke_api_key,
        ChangeUser: platform.change_user,
        EndSessions: platform.end_sessions,
        EndImpersonations: platform.end_impersonations,
        Impersonate: platform.impersonate,
        AppointAdmin: platform.appoint_admin,
    }


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Auth needs bcrypt threads, sessions in Redis, and the signing keys."""
    settings = context.settings.auth
    passwords = Passwords(settings.bcrypt_cost)
    accounts = Accounts(passwords)
    store = open_sessions(context.redis, context.settings)
    keys = KeyRing(settings)
    sessions = Sessions(passwords, store, keys, settings)
    platform = Platform(passwords, store, keys, settings)
    try:
        yield Domain("auth", commands_of(accounts, sessions, platform), REACTIONS)
    finally:
        passwords.close()
