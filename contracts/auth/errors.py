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


class UserSuspended(DomainError):
    code = "auth.user_suspended"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The account has been suspended"


class OtpRequired(DomainError):
    code = "auth.otp_required"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The account has a second factor: send otp, too"


class OtpWrong(DomainError):
    code = "auth.otp_wrong"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The code of the second factor is wrong, or was used before"


class TooManyAttempts(DomainError):
    code = "auth.too_many_attempts"
    kind = ErrorKind.RATE_LIMITED
    title = "Too many attempts have failed; wait before the next"


class SignInLate(DomainError):
    code = "auth.sign_in_late"
    kind = ErrorKind.UNAVAILABLE
    title = "There was too much to do to sign you in in time; try again"


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


class CurrentPasswordWrong(DomainError):
    code = "auth.current_password_wrong"
    kind = ErrorKind.INVALID
    title = "The current password is wrong"


class LinkInvalid(DomainError):
    code = "auth.link_invalid"
    kind = ErrorKind.INVALID
    title = "The link is not valid: it was used, replaced by a newer one, or has expired"


class SecondFactorOn(DomainError):
    code = "auth.second_factor_on"
    kind = ErrorKind.CONFLICT
    title = "There is a second factor already; turn it off first"


class SecondFactorOff(DomainError):
    code = "auth.second_factor_off"
    kind = ErrorKind.CONFLICT
    title = "There is no second factor to confirm or to turn off"


class OtpRefused(DomainError):
    code = "auth.otp_refused"
    kind = ErrorKind.INVALID
    title = "The code is wrong, or was used before"
