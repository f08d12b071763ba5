"""What may be asked of auth."""

from __future__ import annotations

from contracts.auth.commands.accounts import (
    RegisterUser,
    ResendVerification,
    UpdateProfile,
    VerifyEmail,
)
from contracts.auth.commands.mfa import BeginSecondFactor, ConfirmSecondFactor, EndSecondFactor
from contracts.auth.commands.passwords import ChangePassword, ForgetPassword, ResetPassword
from contracts.auth.commands.sessions import (
    EndSessions,
    OpenSession,
    RefreshSession,
    RevokeSession,
    RevokeSessions,
)

__all__ = [
    "BeginSecondFactor",
    "ChangePassword",
    "ConfirmSecondFactor",
    "EndSecondFactor",
    "EndSessions",
    "ForgetPassword",
    "OpenSession",
    "RefreshSession",
    "RegisterUser",
    "ResendVerification",
    "ResetPassword",
    "RevokeSession",
    "RevokeSessions",
    "UpdateProfile",
    "VerifyEmail",
]
