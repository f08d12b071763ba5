"""What may be asked of auth."""

from __future__ import annotations

from contracts.auth.commands.accounts import RegisterUser, UpdateProfile
from contracts.auth.commands.api_keys import CreateApiKey, RevokeApiKey, RotateApiKey
from contracts.auth.commands.platform import (
    AppointAdmin,
    ChangeUser,
    EndImpersonations,
    EndSessions,
    Impersonate,
)
from contracts.auth.commands.sessions import (
    OpenSession,
    RefreshSession,
    RevokeSession,
    RevokeSessions,
)

__all__ = [
    "AppointAdmin",
    "ChangeUser",
    "CreateApiKey",
    "EndImpersonations",
    "EndSessions",
    "Impersonate",
    "OpenSession",
    "RefreshSession",
    "RegisterUser",
    "RevokeApiKey",
    "RevokeSession",
    "RevokeSessions",
    "RotateApiKey",
    "UpdateProfile",
]
