"""The product's gateway with one more route: a read that anybody may do, in somebody's name.

``python -m scripts.bench.open_gateway port user org`` serves GET /open/orgs/{org}, which is
GET /v1/orgs/{org} without authentication, and everything else as it is.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from aiohttp import web

from contracts.actor import Actor
from contracts.permissions import Role
from gateway.app import make_app
from gateway.dispatch import respond
from gateway.errors import InternalError, RequestMalformed
from gateway.limits import parse_parameters
from gateway.patience import patience
from gateway.state import running_gateway
from handlers.corp.queries import get_organization
from infra.connection import Listener
from infra.memory import settle
from infra.settings import settings


async def serve(port: int, user: str, org: str) -> None:
    """Serve until SIGTERM."""
    actor = Actor(user=user, org=org, role=Role.OWNER)

    async def read(request: web.Request) -> web.Response:
        parse_parameters(request, None)
        with patience():
            view = await get_organization(actor)
        return respond(request, 200, view.model_dump(mode="json"), revised=False)

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with running_gateway(settings()) as gateway:
        app = make_app(gateway)
        app.router.add_get("/open/orgs/{org}", read)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        assert runner.server is not None
        listener = Listener(runner.server, malformed=RequestMalformed, failed=InternalError)
        await listener.open("127.0.0.1", port)
        settle()
        await stop.wait()
        listener.close()
        await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
