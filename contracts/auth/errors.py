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


class AccountExists(DomainError):
    code = "auth.account_exists"
    kind = ErrorKind.CONFLICT
    title = "There is an account with this address"


class AccountSuspended(DomainError):
    code = "auth.user_suspended"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The account has been suspended"


class NotYourself(DomainError):
    code = "auth.not_yourself"
    kind = ErrorKind.CONFLICT
    title = "Nobody does this to their own account"


class ImpersonationRefused(DomainError):
    code = "auth.impersonation_refused"
    kind = ErrorKind.FORBIDDEN
    title = "This user cannot be impersonated"


class NotWhileImpersonating(DomainError):
    code = "auth.not_while_impersonating"
    kind = ErrorKind.FORBIDDEN
    title = "Only the user themselves may do this"


class PersonNeeded(DomainError):
    code = "auth.person_needed"
    kind = ErrorKind.FORBIDDEN
    title = "This is for people, not for API keys"


class KeyNotFound(DomainError):
    code = "auth.key_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such API key"


class KeyExpired(DomainError):
    code = "auth.key_expired"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The API key has expired"


class KeyRotated(DomainError):
    code = "auth.key_rotated"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The API key was rotated and this secret is no longer valid"


class KeyScopeRefused(DomainError):
    code = "auth.key_scope_refused"
    kind = ErrorKind.INVALID
    title = "An API key cannot have this scope"


class KeyExpiryRefused(DomainError):
    code = "auth.key_expiry_refused"
    kind = ErrorKind.INVALID
    title = "An API key cannot end then"


class KeyEnded(DomainError):
    code = "auth.key_ended"
    kind = ErrorKind.CONFLICT
    title = "The API key has expired: make a new one"


class TooManyKeys(DomainError):
    code = "auth.too_many_keys"
    kind = ErrorKind.CONFLICT
    title = "The organization has as many API keys as it may have"


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
