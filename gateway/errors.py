"""How the gateway itself refuses."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class RouteUnknown(DomainError):
    code = "route_unknown"
    kind = ErrorKind.NOT_FOUND
    title = "There is nothing at this address"


class MethodNotAllowed(DomainError):
    code = "method_not_allowed"
    kind = ErrorKind.METHOD
    title = "This address does not know the method"


class BodyMalformed(DomainError):
    code = "body_malformed"
    kind = ErrorKind.MALFORMED
    title = "The body is not valid JSON in UTF-8"


class RequestMalformed(DomainError):
    code = "request_malformed"
    kind = ErrorKind.MALFORMED
    title = "The request could not be read"


class BodyTooLarge(DomainError):
    code = "body_too_large"
    kind = ErrorKind.TOO_LARGE
    title = "The body is too large"


class MediaTypeUnsupported(DomainError):
    code = "media_type_unsupported"
    kind = ErrorKind.UNSUPPORTED
    title = "The body has another media type than expected"


class ValidationFailed(DomainError):
    code = "validation_failed"
    kind = ErrorKind.INVALID
    title = "Some fields are not valid"


class TokenMissing(DomainError):
    code = "auth.token_missing"
    kind = ErrorKind.UNAUTHENTICATED
    title = "This needs an access token"


class TokenRefused(DomainError):
    code = "auth.token_invalid"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The access token is not valid"


class SessionEnded(DomainError):
    code = "auth.session_ended"
    kind = ErrorKind.UNAUTHENTICATED
    title = "The session has ended; sign in again"


class KeyInvalid(DomainError):
    code = "idempotency.key_invalid"
    kind = ErrorKind.INVALID
    title = "Idempotency-Key must be 1 to 255 visible ASCII characters"


class KeyReused(DomainError):
    code = "idempotency.key_reused"
    kind = ErrorKind.INVALID
    title = "The Idempotency-Key was used with another request"


class KeyInProgress(DomainError):
    code = "idempotency.in_progress"
    kind = ErrorKind.CONFLICT
    title = "The first request with this Idempotency-Key is still running"


class IfMatchMalformed(DomainError):
    code = "if_match_malformed"
    kind = ErrorKind.MALFORMED
    title = 'If-Match must name one revision, as in If-Match: "3"'


class RateLimited(DomainError):
    """Retry-After says when to try again. The RateLimit header of every answer tells how much
    is left, so that it need not come to this."""

    code = "rate_limited"
    kind = ErrorKind.RATE_LIMITED
    title = "Too many requests; try again later"


class CommandUnknown(DomainError):
    code = "command_unknown"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such command of yours"


class ReferenceUnknown(DomainError):
    code = "reference_unknown"
    kind = ErrorKind.INVALID
    title = "A field names something that does not exist"


class DependencyDown(DomainError):
    code = "dependency_unavailable"
    kind = ErrorKind.UNAVAILABLE
    title = "A service this needs is not available at the moment"


class CommandLost(DomainError):
    code = "command_lost"
    kind = ErrorKind.UNAVAILABLE
    title = "The command was lost before it was carried out; send it again"


class ReplyLate(DomainError):
    code = "reply_late"
    kind = ErrorKind.UNAVAILABLE
    title = "No worker has answered in time; try again"


class InternalError(DomainError):
    code = "internal_error"
    kind = ErrorKind.INTERNAL
    title = "Something went wrong on our side"
