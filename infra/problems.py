"""Problem details (RFC 9457): the only place where a kind of error becomes a status."""

from __future__ import annotations

import math
from typing import Any

from aiohttp import web
from pydantic_core import to_json

from contracts.base import View
from contracts.errors import DomainError, ErrorKind, Failure, FieldError

STATUS: dict[ErrorKind, int] = {
    ErrorKind.MALFORMED: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.METHOD: 405,
    ErrorKind.CONFLICT: 409,
    ErrorKind.GONE: 410,
    ErrorKind.PRECONDITION: 412,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED: 415,
    ErrorKind.RANGE: 416,
    ErrorKind.INVALID: 422,
    ErrorKind.LOCKED: 423,
    ErrorKind.UPGRADE: 426,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.CHECKSUM: 460,  # of no RFC: the tus protocol chose it
    ErrorKind.INTERNAL: 500,
    ErrorKind.UNAVAILABLE: 503,
}

MEDIA_TYPE = "application/problem+json"


class Problem(View):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: tuple[FieldError, ...] = ()


def problem_of(failure: Failure, request_id: str) -> Problem:
    """The problem that tells of a failure."""
    return Problem(
        type=f"/problems/{failure.code}",
        title=failure.title,
        status=STATUS[failure.kind],
        detail=failure.detail,
        code=failure.code,
        request_id=request_id,
        errors=failure.errors,
    )


def problem_body(failure: Failure, request_id: str) -> dict[str, Any]:
    """As JSON; ``errors`` only where there are any."""
    return problem_of(failure, request_id).model_dump(
        mode="json", exclude=None if failure.errors else {"errors"}
    )


_REFUSED = frozenset(
    {"auth.token_invalid", "auth.session_ended", "auth.key_expired", "auth.key_rotated"}
)


def challenge(code: str) -> str:
    """WWW-Authenticate of a 401. Clients of RFC 6750 know one error for it: of a token sent."""
    return 'Bearer realm="grid8"' + (', error="invalid_token"' if code in _REFUSED else "")


def problem_response(
    error: DomainError | Failure, request_id: str, headers: dict[str, str] | None = None
) -> web.Response:
    """The response that tells of an error."""
    failure = error if isinstance(error, Failure) else error.failure()
    more = dict(headers or {})
    status = STATUS[failure.kind]
    if status == 401:
        more.setdefault("WWW-Authenticate", challenge(failure.code))
    if failure.retry_after is not None or status == 503:
        more.setdefault("Retry-After", str(math.ceil(failure.retry_after or 5)))
    return web.Response(
        body=to_json(problem_body(failure, request_id)),
        status=status,
        headers=more,
        content_type=MEDIA_TYPE,
    )
