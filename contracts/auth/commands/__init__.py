"""What may be asked of auth."""

from __future__ import annotations

from contracts.auth.commands.accounts import (
    RegisterUser,
    ResendVerification,
    UpdateProfile,
    VerifyEmail,
)
from contracts.auth.commands.api_keys import CreateApiKey, RevokeApiKey, RotateApiKey
from contracts.auth.commands.mfa import BeginSecondFactor, ConfirmSecondFactor, EndSecondFactor
from contracts.auth.commands.passwords import ChangePassword, ForgetPassword, ResetPassword
from contracts.auth.commands.platform import (
    AppointAdmin,
    ChangeUser,
    EndImpersonations,
    EndUserSessions,
    Impersonate,
)
from contracts.auth.commands.sessions import (
    EndSessions,
    OpenSession,
    RefreshSession,
    RevokeSession,
    RevokeSessions,
)

__all__ = [
    "AppointAdmin",
    "BeginSecondFactor",
    "ChangePassword",
    "ChangeUser",
    "ConfirmSecondFactor",
    "CreateApiKey",
    "EndImpersonations",
    "EndSecondFactor",
    "EndSessions",
    "EndUserSessions",
    "ForgetPassword",
    "Impersonate",
    "OpenSession",
    "RefreshSession",
    "RegisterUser",
    "ResendVerification",
    "ResetPassword",
    "RevokeApiKey",
    "RevokeSession",
    "RevokeSessions",
    "RotateApiKey",
    "UpdateProfile",
    "VerifyEmail",
]
