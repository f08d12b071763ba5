"""Routes of accounts, sessions and keys."""

from __future__ import annotations

from contracts.auth.commands import (
    BeginSecondFactor,
    ChangePassword,
    ConfirmSecondFactor,
    EndSecondFactor,
    ForgetPassword,
    OpenSession,
    RefreshSession,
    RegisterUser,
    ResendVerification,
    ResetPassword,
    RevokeSession,
    RevokeSessions,
    UpdateProfile,
    VerifyEmail,
)
from contracts.auth.views import (
    RecoveryCodesView,
    RegistrationView,
    SecondFactorView,
    TokensView,
    UserView,
)
from gateway.identity import (
    KeySetView,
    SessionsView,
    get_jwks,
    get_me,
    get_sessions,
    user_view,
)
from gateway.table import Access, Route, command, custom

PUBLIC, SIGNED_IN = Access.PUBLIC, Access.SIGNED_IN


IDENTITY: list[Route] = [
    command(
        "POST",
        "/v1/auth/register",
        RegisterUser,
        allow=PUBLIC,
        answers=RegistrationView,
        status=202,
    ),
    command("POST", "/v1/auth/verify-email", VerifyEmail, allow=PUBLIC),
    command(
        "POST",
        "/v1/auth/verify-email/resend",
        ResendVerification,
        allow=PUBLIC,
        answers=RegistrationView,
        status=202,
        silent=True,
    ),
    command("POST", "/v1/auth/password", ChangePassword, allow=SIGNED_IN),
    command(
        "POST",
        "/v1/auth/password/forgot",
        ForgetPassword,
        allow=PUBLIC,
        answers=RegistrationView,
        status=202,
        silent=True,
    ),
    command("POST", "/v1/auth/password/reset", ResetPassword, allow=PUBLIC),
    command(
        "POST",
        "/v1/auth/mfa",
        BeginSecondFactor,
        allow=SIGNED_IN,
        answers=SecondFactorView,
        status=201,
    ),
    command(
        "POST",
        "/v1/auth/mfa/confirm",
        ConfirmSecondFactor,
        allow=SIGNED_IN,
        answers=RecoveryCodesView,
    ),
    command("DELETE", "/v1/auth/mfa", EndSecondFactor, allow=SIGNED_IN),
    command("POST", "/v1/auth/sessions", OpenSession, allow=PUBLIC, answers=TokensView, status=201),
    command(
        "POST",
        "/v1/auth/sessions/refresh",
        RefreshSession,
        allow=PUBLIC,
        answers=TokensView,
        status=201,
    ),
    custom("GET", "/v1/auth/sessions", get_sessions, allow=SIGNED_IN, answers=SessionsView),
    command("DELETE", "/v1/auth/sessions", RevokeSessions, allow=SIGNED_IN),
    # Who impersonates may end that session only, which the handler requires.
    command(
        "DELETE",
        "/v1/auth/sessions/{session}",
        RevokeSession,
        allow=SIGNED_IN,
        impersonable=True,
    ),
    custom("GET", "/v1/me", get_me, allow=SIGNED_IN, answers=UserView),
    command("PATCH", "/v1/me", UpdateProfile, allow=SIGNED_IN, answers=UserView, present=user_view),
    custom("GET", "/.well-known/jwks.json", get_jwks, allow=PUBLIC, answers=KeySetView),
]
