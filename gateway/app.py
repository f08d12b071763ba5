"""The gateway's process: routes mounted, every response finished the same way, drained at the end."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import structlog
from aiohttp import HttpVersion10, web
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from bus.middleware import tracing_is_on
from contracts.errors import DomainError
from contracts.types import new_id
from gateway.addresses import client_address
from gateway.admission import STANDING
from gateway.dispatch import dispatch
from gateway.errors import (
    BodyTooLarge,
    DependencyDown,
    InternalError,
    MethodNotAllowed,
    RequestMalformed,
    RouteUnknown,
)
from gateway.openapi import build
from gateway.routes import ROUTES
from gateway.state import GATEWAY, Gateway, running_gateway
from gateway.table import Route
from gateway.uploading import tus_protocol as tus
from gateway.web.documents import OPENAPI
from handlers.runtime import checks_of
from infra.connection import SECURITY, Listener
from infra.memory import settle
from infra.ops import ops_routes, serve_ops
from infra.problems import problem_response
from infra.settings import Settings

log = structlog.get_logger("gateway.access")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUESTS = Counter("grid8_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("grid8_request_seconds", "Time to answer", ["method", "route"])
RUNNING = Gauge("grid8_requests_running", "Requests being answered")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_tracer = trace.get_tracer("grid8.gateway")
_propagator = TraceContextTextMapPropagator()

CUT_TIMEOUT = 1.0
"""Seconds that a request which has outlived the drain is given to end."""

EXPOSED = (
    "ETag, Location, X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, "
    "Idempotent-Replayed, Preference-Applied, Accept-Ranges, Content-Range, "
    f"Content-Disposition, {tus.EXPOSED}"
)


def middleware_of(settings: Settings) -> Any:
    """One middleware for all: ids, errors, CORS, access log, metrics, span."""
    origins = set(settings.gateway.cors_origins)

    @web.middleware
    async def finish(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        given = request.headers.get("X-Request-Id", "")
        request["id"] = given if _REQUEST_ID.fullmatch(given) else new_id("req")
        request["address"] = client_address(request, settings.gateway.trusted_proxies)
        resource = request.match_info.route.resource
        name = resource.canonical if resource is not None else "unknown"
        # Each request of a connection binds it anew, so nothing need be unbound.
        structlog.contextvars.bind_contextvars(request_id=request["id"])
        RUNNING.inc()
        try:
            with _span(request, name):
                response = await _answer(request, handler, origins)
                if request.content.exception() is not None:
                    # Where a broken body ends, nobody can tell: nothing may follow it.
                    request.content.feed_eof()
                    response.force_close()
                seconds = time.perf_counter() - started
                log.info(
                    "request",
                    method=request.method,
                    path=request.rel_url.raw_path,
                    status=response.status,
                    ms=round(seconds * 1000, 1),
                    address=request["address"],
                )
        finally:
            RUNNING.dec()
        requests, duration = _measures(_known(request.method), name, response.status)
        requests.inc()
        duration.observe(seconds)
        return response

    return finish


@lru_cache(maxsize=4096)
def _measures(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), SECONDS.labels(method, route)


def _span(request: web.Request, route: str) -> AbstractContextManager[Any]:
    """The request's span, continuing the caller's trace; nothing while tracing is off."""
    if not tracing_is_on():
        return nullcontext()
    return _tracer.start_as_current_span(
        f"{request.method} {route}",
        context=_propagator.extract(request.headers),
        kind=trace.SpanKind.SERVER,
    )


def decorator_of(settings: Settings) -> Any:
    """What every response gets just before it is sent, whoever made it."""
    origins = set(settings.gateway.cors_origins)

    async def decorate(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers["X-Request-Id"] = request.get("id", "")
        headers["Server"] = "grid8"
        tus.finish_headers(request, response)
        for header, value in SECURITY.items():
            headers.setdefault(header, value)
        standing = request.get(STANDING)
        if standing is not None:
            headers["RateLimit-Policy"], headers["RateLimit"] = standing.policy, standing.now
        if response.status >= 400:
            headers["Cache-Control"] = "no-store"
        elif request.method not in ("GET", "HEAD"):
            headers.setdefault("Cache-Control", "no-store")
        else:
            headers.setdefault("Cache-Control", "private, no-cache")
        if settings.environment == "production":
            headers.setdefault("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
        origin = request.headers.get("Origin")
        if origins:
            headers.add("Vary", "Origin")
        if origin is not None and (origin in origins or "*" in origins):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = EXPOSED

    return decorate


def _known(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS") else "?"


async def _answer(request: web.Request, handler: Handler, origins: set[str]) -> web.StreamResponse:
    try:
        if request.version < HttpVersion10:
            raise RequestMalformed("HTTP/1.1 is spoken here, and HTTP/1.0.")
        preflight = _preflight(request, origins)
        return preflight if preflight is not None else await handler(request)
    except DomainError as error:
        return problem_response(error, request["id"])
    except web.HTTPException as error:
        return _of_http(request, error)
    except (RedisError, PyMongoError) as error:
        log.warning("dependency_down", reason=str(error)[:300])
        return problem_response(DependencyDown(retry_after=5), request["id"])
    except asyncio.CancelledError:
        raise
    except ConnectionError as error:
        if request.transport is None:
            raise  # the client is gone
        log.warning("dependency_down", reason=str(error)[:300])
        return problem_response(DependencyDown(retry_after=5), request["id"])
    except Exception:
        log.exception("request_failed", method=request.method, path=request.rel_url.raw_path)
        return problem_response(InternalError(), request["id"])


def _of_http(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own refusals, in our form."""
    if error.status < 400:
        raise error
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        refused = MethodNotAllowed(f"Allowed here: {allowed}.")
        return problem_response(refused, request["id"], {"Allow": allowed})
    if isinstance(error, web.HTTPNotFound):
        return problem_response(RouteUnknown(), request["id"])
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return problem_response(BodyTooLarge(), request["id"])
    return problem_response(RequestMalformed(f"{error.reason}."), request["id"])


def _preflight(request: web.Request, origins: set[str]) -> web.Response | None:
    """The answer to a CORS preflight of an allowed origin."""
    origin = request.headers.get("Origin")
    asked = request.headers.get("Access-Control-Request-Method")
    if request.method != "OPTIONS" or asked is None or origin is None:
        return None
    if origin not in origins and "*" not in origins:
        return None
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, DELETE",
            "Access-Control-Allow-Headers": (
                "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
                f"Prefer, X-Request-Id, traceparent, Range, If-Range, {tus.ACCEPTED}"
            ),
            "Access-Control-Max-Age": "600",
        },
    )


def make_app(gateway: Gateway) -> web.Application:
    """The application with every route of the table."""
    settings = gateway.settings
    app = web.Application(
        middlewares=[middleware_of(settings)], client_max_size=settings.gateway.body_limit
    )
    app.on_response_prepare.append(decorator_of(settings))
    app[GATEWAY] = gateway
    app[OPENAPI] = build(ROUTES, server=settings.gateway_url, version=version("grid8"))
    for route in ROUTES:
        for method in (route.method, "HEAD") if route.method == "GET" else (route.method,):
            app.router.add_route(
                method, route.path, _bound(route, gateway), expect_handler=_continue
            )
    checks = {**checks_of(gateway.context), "object_store": gateway.store.check}
    app.add_routes(ops_routes("gateway", checks, metrics=settings.gateway.metrics_public))
    return app


def _bound(route: Route, gateway: Gateway) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await dispatch(request, route, gateway)

    return handle


async def _continue(request: web.Request) -> None:
    """Let a client go on that waits for it; other expectations are not met (RFC 9110, 10.1.1)."""
    if request.headers["Expect"].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written is not the response, which can still be an error.
        request.writer.output_size = 0


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is running and stop."""
    if settings.environment == "production" and "*" in settings.gateway.cors_origins:
        raise OSError("GRID8_GATEWAY__CORS_ORIGINS may not be * in production")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_gateway(settings) as gateway:
        runner = web.AppRunner(
            make_app(gateway),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=CUT_TIMEOUT,
        )
        await runner.setup()
        assert runner.server is not None
        listener = Listener(runner.server, malformed=RequestMalformed, failed=InternalError)
        await listener.open(settings.gateway.host, settings.gateway.port)
        checks = {**checks_of(gateway.context), "object_store": gateway.store.check}
        ops = await serve_ops("gateway", checks, host=settings.ops.host, port=settings.ops.port)
        log.info("started", url=settings.gateway_url, durable=gateway.context.publisher.durability)
        if gateway.context.publisher.durability == "off":
            log.error("redis_not_durable", hint="a 202 may be lost: run Redis with appendonly yes")
        settle()
        await stop.wait()
        log.info("draining")
        await listener.drain(settings.gateway.drain_grace)
        await runner.cleanup()
        if ops is not None:
            await ops.cleanup()
    log.info("stopped")
    sys.stderr.flush()
