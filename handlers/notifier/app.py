"""The notifier's HTTP: two ways to connect, and health, readiness and metrics."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from contracts.errors import DomainError
from contracts.realtime.errors import (
    MethodRefused,
    PathUnknown,
    RealtimeFailed,
    RealtimeUnavailable,
    RequestMalformed,
    VersionUnsupported,
)
from contracts.types import new_id
from handlers.notifier import sse, ws
from handlers.notifier.metrics import REFUSALS
from handlers.notifier.state import REALTIME, Realtime
from handlers.notifier.wire.handshake import VERSION
from infra.connection import SECURITY, Listener
from infra.ops import Check, ops_routes
from infra.problems import problem_response
from infra.tickets import SSE_PATH, WS_PATH

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ID: web.RequestKey[str] = web.RequestKey("id", str)

PATIENCE = 20.0
"""Seconds a connection has for its first request; slow handshakes end there."""
KEEP_ALIVE = 75.0
"""Seconds a connection may be idle between requests: more than the 60 of common proxies."""

_TRANSPORTS = {WS_PATH: "ws", SSE_PATH: "sse"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def make_app(
    realtime: Realtime, checks: Mapping[str, Check], *, metrics: bool = True, hsts: bool = False
) -> web.Application:
    """The application. Its shutdown ends every connection."""
    app = web.Application(middlewares=[_finish])
    app[REALTIME] = realtime
    app.router.add_get(WS_PATH, ws.connect, allow_head=False)
    app.router.add_get(SSE_PATH, sse.connect, allow_head=False)
    app.router.add_options(SSE_PATH, _preflight)
    app.add_routes(ops_routes("notifier", checks, metrics=metrics))

    async def decorate(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers["X-Request-Id"] = request.get(ID, "")
        headers["Server"] = "grid8"
        headers.setdefault("Cache-Control", "no-store")
        for header, value in SECURITY.items():
            headers.setdefault(header, value)
        if hsts:
            headers.setdefault("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
        headers.add("Vary", "Origin")
        origin = request.headers.get("Origin")
        if origin is not None and request.path == SSE_PATH and realtime.door.allows(origin):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After"

    async def drain(_: web.Application) -> None:
        await realtime.drain()

    app.on_response_prepare.append(decorate)
    app.on_shutdown.append(drain)
    return app


@web.middleware
async def _finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Request id, errors as problems, and one log line without the query: it has the ticket."""
    started = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    request[ID] = given if _REQUEST_ID.fullmatch(given) else new_id("req")
    with structlog.contextvars.bound_contextvars(request_id=request[ID]):
        try:
            response = await _answer(request, handler)
        finally:
            request.app[REALTIME].door.leave(request)
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status,
            seconds=round(time.perf_counter() - started, 1),
        )
    return response


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except VersionUnsupported as error:
        response = _refuse(request, error)
        # RFC 6455, 4.4, and RFC 9110, 15.5.22
        response.headers["Sec-WebSocket-Version"] = VERSION
        response.headers["Upgrade"] = "websocket"
        response.headers["Connection"] = "Upgrade"
        return response
    except DomainError as error:
        return _refuse(request, error)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        response = _refuse(request, MethodRefused(f"Allowed here: {allowed}."))
        response.headers["Allow"] = allowed
        return response
    except web.HTTPNotFound:
        return _refuse(request, PathUnknown())
    except (RedisError, PyMongoError) as error:
        log.warning("dependency_down", reason=str(error)[:300])
        return _refuse(request, RealtimeUnavailable(retry_after=5))
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        log.exception("request_failed", method=request.method, path=request.path)
        return _refuse(request, RealtimeFailed())


def _refuse(request: web.Request, error: DomainError) -> web.Response:
    if request.writer.output_size > 0:
        raise ConnectionError("a part of another response has been sent")
    transport = _TRANSPORTS.get(request.path)
    if transport is not None:
        REFUSALS.labels(transport, error.code).inc()
    if transport == "sse" and sse.passes(error) and sse.wants_stream(request):
        return sse.again(request, error)
    return problem_response(error, request[ID])


async def _preflight(request: web.Request) -> web.Response:
    """CORS for clients that read the stream with fetch; EventSource asks for none."""
    request.app[REALTIME].door.check_origin(request)
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET",
            "Access-Control-Allow-Headers": "Last-Event-ID, Cache-Control, X-Request-Id",
            "Access-Control-Max-Age": "600",
        },
    )


@asynccontextmanager
async def serving(
    app: web.Application, *, host: str, port: int, grace: float
) -> AsyncIterator[int]:
    """Serve the application on a port. Raises OSError if it is taken."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=grace)
    await runner.setup()
    try:
        assert runner.server is not None
        listener = Listener(
            runner.server,
            malformed=RequestMalformed,
            failed=RealtimeFailed,
            patience=PATIENCE,
            keep_alive=KEEP_ALIVE,
        )
        try:
            yield await listener.open(host, port)
        finally:
            listener.close()
    finally:
        await runner.cleanup()
