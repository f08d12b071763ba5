"""A client's connection, down to what is not even HTTP."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from aiohttp import web

from contracts.types import new_id
from gateway.errors import InternalError, RequestMalformed
from infra.problems import problem_response
from infra.settings import GatewaySettings

log = structlog.get_logger("gateway.connection")

LINE_LIMIT = 8190
"""Bytes of the longest request line or header."""

PARTING: web.AppKey[asyncio.Event] = web.AppKey("parting", asyncio.Event)
"""Set once the gateway is stopping."""
PART_WITHIN = 1.0
"""Seconds a stopping gateway listens to connections on which nothing is being answered."""

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Connection(web.RequestHandler):
    """Answers what cannot be parsed with a problem, and keeps it out of the log.

    aiohttp would quote the line that is wrong to both, and that may be the one with the token.
    """

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):
            raise exc  # the client is gone
        id = new_id("req")
        if status >= 500:
            log.error("request_failed", request_id=id, exc_info=exc)
        else:
            log.info("request_malformed", request_id=id, reason=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another response has been sent")
        refusal = RequestMalformed() if status < 500 else InternalError()
        response = problem_response(
            refusal, id, {**SECURITY, "X-Request-Id": id, "Server": "grid8"}
        )
        response.headers["Cache-Control"] = "no-store"
        response.force_close()
        return response


async def listen(server: web.Server, settings: GatewaySettings) -> asyncio.Server:
    """Accept connections. Raises OSError when the port is taken."""
    loop = asyncio.get_running_loop()

    def accepted() -> Connection:
        return Connection(
            server,
            loop=loop,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
        )

    return await loop.create_server(accepted, settings.host, settings.port, backlog=1024)


async def part(parting: asyncio.Event, server: web.Server) -> None:
    """Answer what is on its way on the connections there are; each answer is their last.

    To close those that seem idle at once would cut off requests not read yet.
    """
    parting.set()
    with suppress(TimeoutError):
        async with asyncio.timeout(PART_WITHIN):
            while server.connections:  # noqa: ASYNC110 - each ends by itself
                await asyncio.sleep(0.02)
