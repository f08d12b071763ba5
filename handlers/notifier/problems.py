"""Problem details (RFC 9457), of the same form as the gateway's."""

from __future__ import annotations

import math

from aiohttp import web
from pydantic_core import to_json

from contracts.errors import DomainError, ErrorKind

STATUS: dict[ErrorKind, int] = {
    ErrorKind.MALFORMED: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.METHOD: 405,
    ErrorKind.CONFLICT: 409,
    ErrorKind.PRECONDITION: 412,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED: 415,
    ErrorKind.INVALID: 422,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.INTERNAL: 500,
    ErrorKind.UNAVAILABLE: 503,
}


def problem_response(error: DomainError, request_id: str) -> web.Response:
    """The response that tells of an error."""
    status = STATUS[error.kind]
    headers = {}
    if error.retry_after is not None or status == 503:
        headers["Retry-After"] = str(math.ceil(error.retry_after or 5))
    return web.Response(
        body=to_json(
            {
                "type": f"/problems/{error.code}",
                "title": error.title,
                "status": status,
                "detail": error.detail,
                "code": error.code,
                "request_id": request_id,
            }
        ),
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )
