"""A client's connection, down to what is not even HTTP, and to the end of its last request."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from contracts.errors import DomainError
from contracts.types import new_id
from infra.problems import problem_response

log = structlog.get_logger("connection")

LINE_LIMIT = 8190
"""Bytes of the longest request line or header."""
KEEP_ALIVE = 3630.0
"""Seconds; more than the hour of common proxies."""
LOOK_EVERY = 0.05
LISTEN_FOR = 1.0
"""Seconds in which a connection with nothing to answer may still bring a request."""

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Listener:
    """Accepts connections for a server, and lets them finish.

    ``malformed`` answers what cannot be parsed, ``failed`` what we could not answer. The first
    request must be there within ``patience`` seconds, each later one within ``keep_alive``.
    """

    def __init__(
        self,
        server: web.Server,
        *,
        malformed: type[DomainError],
        failed: type[DomainError],
        patience: float = KEEP_ALIVE,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        self.malformed = malformed
        self.failed = failed
        self.patience = patience
        self.keep_alive = keep_alive
        self.draining = False
        self._server = server
        self._sockets: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Accept connections; the port. Raises OSError when it is taken."""
        loop = asyncio.get_running_loop()
        self._sockets = await loop.create_server(self._accepted, host, port, backlog=1024)
        return int(self._sockets.sockets[0].getsockname()[1])

    def _accepted(self) -> Connection:
        return Connection(self, self._server)

    def close(self) -> None:
        """Accept no more."""
        if self._sockets is not None:
            self._sockets.close()

    async def drain(self, grace: float) -> None:
        """Accept no more, and return when what is running is answered, or ``grace`` is over.

        aiohttp's own shutdown would drop what a body still brings.
        """
        self.close()
        self.draining = True
        clock = asyncio.get_running_loop().time
        begun = clock()
        while connections := self._server.connections:
            if clock() - begun >= grace:
                return
            # One that seems idle may have been sent a request that has not been read yet.
            if clock() - begun >= LISTEN_FOR:
                for each in connections:
                    if isinstance(each, Connection) and each.is_idle():
                        each.force_close()
            await asyncio.sleep(LOOK_EVERY)


class Connection(web.RequestHandler):
    """Answers what cannot be parsed with a problem, and keeps it out of the log.

    aiohttp would quote the line that is wrong to both, and that may be the one with the token.
    """

    __slots__ = ("_handed_over", "_listener")

    def __init__(self, listener: Listener, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=listener.patience,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
        )
        self._listener = listener
        self._handed_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # The timer of the first request runs; this is what aiohttp sets the next ones by.
        self._keepalive_timeout = self._listener.keep_alive

    @property
    def upgrading(self) -> bool:
        """Whether what follows the request is kept as it came, and not read as HTTP."""
        return self._upgraded and not self._messages

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Let another protocol have the connection; it has what came after the request.

        For a handler of a request that is ``upgrading``, once it has answered 101 in full.
        When the handler returns, nothing is left of this. Raises ConnectionError if the
        client is gone.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionError("the client is gone")
        rest, self._message_tail = self._message_tail, b""
        self._handed_over = True
        self.transport = None
        self.keep_alive(False)
        self.close()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._buffer_paused:
            transport.resume_reading()
        if rest:
            protocol.data_received(rest)

    async def start(self) -> None:
        await super().start()
        if self._handed_over:
            self.connection_lost(None)

    def is_idle(self) -> bool:
        """Whether no request has been begun and not been answered."""
        return self._current_request is None and not self._messages

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if self._listener.draining:
            resp.force_close()
        return await super().finish_response(request, resp, start_time)

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
        refusal = self._listener.malformed() if status < 500 else self._listener.failed()
        response = problem_response(
            refusal, id, {**SECURITY, "X-Request-Id": id, "Server": "grid8"}
        )
        response.headers["Cache-Control"] = "no-store"
        response.force_close()
        return response
