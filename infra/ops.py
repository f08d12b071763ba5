"""/health, /ready and /metrics, on every process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[None]]
"""Raises when the dependency cannot be used."""

CHECK_TIMEOUT = 3.0


async def readiness(checks: Mapping[str, Check]) -> tuple[bool, dict[str, str]]:
    """Whether all checks pass, and ``ok`` or the kind of failure of each.

    Not the failure's text: it names hosts and ports, and anybody may ask. The log has it.
    """

    async def run(check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await check()
        except TimeoutError:
            return f"no answer within {CHECK_TIMEOUT:g} s"
        except Exception as error:
            log.warning("not_ready", reason=str(error)[:300])
            return type(error).__name__
        return "ok"

    states = dict(
        zip(checks, await asyncio.gather(*(run(check) for check in checks.values())), strict=True)
    )
    return all(state == "ok" for state in states.values()), states


def ops_routes(
    process: str, checks: Mapping[str, Check], *, metrics: bool = True
) -> web.RouteTableDef:
    """The three routes; ``checks`` names each dependency of the process."""
    routes = web.RouteTableDef()
    started = time.monotonic()

    @routes.get("/health")
    async def health(_: web.Request) -> web.Response:
        uptime = round(time.monotonic() - started, 1)
        return web.json_response({"status": "alive", "process": process, "uptime_seconds": uptime})

    @routes.get("/ready")
    async def ready(_: web.Request) -> web.Response:
        fine, states = await readiness(checks)
        return web.json_response(
            {"status": "ready" if fine else "unavailable", "dependencies": states},
            status=200 if fine else 503,
            headers={} if fine else {"Retry-After": "5"},
        )

    if metrics:

        @routes.get("/metrics")
        async def expose(_: web.Request) -> web.Response:
            return web.Response(
                body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST}
            )

    return routes


async def serve_ops(
    process: str, checks: Mapping[str, Check], *, host: str, port: int
) -> web.AppRunner | None:
    """Serve them on their own port; None when ``port`` is -1. Raises OSError if it is taken."""
    if port < 0:
        return None
    app = web.Application()
    app.add_routes(ops_routes(process, checks))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
