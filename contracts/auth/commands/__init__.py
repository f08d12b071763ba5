"""What may be asked of auth."""

from __future__ import annotations

from contracts.auth.commands.accounts import RegisterUser, UpdateProfile
from contracts.auth.commands.sessions import (
    OpenSession,
    RefreshSession,
    RevokeSession,
    RevokeSessions,
)

__all__ = [
    "OpenSession",
    "RefreshSession",
    "RegisterUser",
    "RevokeSession",
    "RevokeSessions",
    "UpdateProfile",
]
