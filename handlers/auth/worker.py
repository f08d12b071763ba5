"""Auth's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from bus.handling import Handler
from contracts.auth.commands import (
    AppointAdmin,
    BeginSecondFactor,
    ChangePassword,
    ChangeUser,
    ConfirmSecondFactor,
    CreateApiKey,
    EndImpersonations,
    EndSecondFactor,
    EndSessions,
    EndUserSessions,
    ForgetPassword,
    Impersonate,
    OpenSession,
    RefreshSession,
    RegisterUser,
    ResendVerification,
    ResetPassword,
    RevokeApiKey,
    RevokeSession,
    RevokeSessions,
    RotateApiKey,
    UpdateProfile,
    VerifyEmail,
)
from contracts.base import Command, Event
from contracts.corp.events import InvitationAccepted, OrganizationDeleted
from handlers.auth import reactions
from handlers.auth.handlers import (
    Accounts,
    Linking,
    PasswordChanges,
    Platform,
    Proving,
    SecondFactors,
    Sessions,
    api_keys,
)
from handlers.domain import Context, Domain
from infra.attempts import Attempts
from infra.passwords import Passwords
from infra.secrets import open_sessions
from infra.sessions import SessionStore
from infra.settings import AuthSettings
from infra.tokens import KeyRing

REACTIONS: dict[type[Event], Handler] = {
    OrganizationDeleted: reactions.remove_the_keys,
    InvitationAccepted: reactions.verify_the_invited,
}

ISSUER = "Grid8"

AHEAD = 2
"""Commands with a password in hand for each thread that hashes: while some are hashed, others
are read, or committed. More would only grow old in hand."""


def commands_of(
    accounts: Accounts,
    sessions: Sessions,
    passwords: PasswordChanges,
    factors: SecondFactors,
    platform: Platform,
) -> dict[type[Command], Handler]:
    """Command → handler."""
    return {
        RegisterUser: accounts.register_user,
        VerifyEmail: accounts.verify_email,
        ResendVerification: accounts.resend_verification,
        UpdateProfile: accounts.update_profile,
        OpenSession: sessions.open_session,
        RefreshSession: sessions.refresh_session,
        RevokeSession: sessions.revoke_session,
        RevokeSessions: sessions.revoke_sessions,
        EndSessions: sessions.end_sessions,
        ForgetPassword: passwords.forget_password,
        ResetPassword: passwords.reset_password,
        ChangePassword: passwords.change_password,
        BeginSecondFactor: factors.begin_second_factor,
        ConfirmSecondFactor: factors.confirm_second_factor,
        EndSecondFactor: factors.end_second_factor,
        CreateApiKey: api_keys.create_api_key,
        RotateApiKey: api_keys.rotate_api_key,
        RevokeApiKey: api_keys.revoke_api_key,
        ChangeUser: platform.change_user,
        EndUserSessions: platform.end_sessions,
        EndImpersonations: platform.end_impersonations,
        Impersonate: platform.impersonate,
        AppointAdmin: platform.appoint_admin,
    }


def open_attempts(redis: Redis, settings: AuthSettings) -> Attempts:
    """The counters of failed sign-ins."""
    return Attempts(
        redis,
        free=settings.attempts_free,
        free_of_address=settings.attempts_free_address,
        longest=settings.attempts_longest,
        decay=settings.attempts_decay,
    )


def built(
    passwords: Passwords,
    sessions: SessionStore,
    keys: KeyRing,
    attempts: Attempts,
    settings: AuthSettings,
    *,
    patience: float,
) -> dict[type[Command], Handler]:
    """The handlers, each with what it needs.

    ``patience`` is how old a sign-in may be when it is begun.
    """
    proving, linking = Proving(passwords, attempts), Linking(settings)
    return commands_of(
        Accounts(passwords, linking, settings),
        Sessions(proving, sessions, keys, settings, patience),
        PasswordChanges(passwords, proving, linking, sessions),
        SecondFactors(proving, ISSUER),
        Platform(passwords, sessions, keys, settings),
    )


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Auth needs bcrypt threads, sessions and counters in Redis, and the signing keys."""
    settings = context.settings.auth
    passwords = Passwords(settings.bcrypt_cost)
    commands = built(
        passwords,
        open_sessions(context.redis, context.settings),
        KeyRing(settings),
        open_attempts(context.redis, settings),
        settings,
        # Half of the gateway's: what is begun must also be done while its caller waits, or
        # under overload every password would be looked at in vain.
        patience=context.settings.gateway.reply_timeout / 2,
    )
    try:
        yield Domain("auth", commands, REACTIONS, slow_slots=AHEAD * passwords.threads)
    finally:
        passwords.close()
