"""How auth refuses."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class CredentialsWrong(DomainError):
    code = "auth.credentials_wrong"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The address or the password is wrong"


class EmailUnverified(DomainError):
    code = "auth.email_unverified"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The address has not been verified yet"


class RefreshTokenInvalid(DomainError):
    code = "auth.refresh_token_invalid"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The refresh token is not valid"


class RefreshTokenReused(DomainError):
    code = "auth.refresh_token_reused"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The refresh token was used before, so its session has been ended"


class SessionNotFound(DomainError):
    code = "auth.session_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such session"


class UserNotFound(DomainError):
    code = "auth.user_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such user"


class PasswordRefused(DomainError):
    code = "auth.password_refused"
    kind = ErrorKind.INVALID
    title = "The password is too easy to guess"
