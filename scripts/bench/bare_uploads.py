"""The bare upload service: what writing a request's stream to a file costs with aiohttp alone.

``python -m scripts.bench.bare_uploads <port> <folder>``. POST /cached writes and answers, as
most services do: the bytes are then in the page cache. POST /synced has them, and the name of
the file, on disk before it answers, as Grid8 does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import uvloop
from aiohttp import web

from contracts.types import new_id

CHUNK = 256 * 1024


async def _write(request: web.Request, path: Path) -> int:
    written = 0
    with path.open("wb", buffering=0) as file:
        async for chunk in request.content.iter_chunked(CHUNK):
            written += file.write(chunk)
    return written


async def cached(request: web.Request) -> web.Response:
    path: Path = request.app["folder"] / new_id("file")
    return web.json_response({"bytes": await _write(request, path)}, status=201)


async def synced(request: web.Request) -> web.Response:
    path: Path = request.app["folder"] / new_id("file")
    size = await _write(request, path)
    await asyncio.to_thread(_sync, path)
    return web.json_response({"bytes": size}, status=201)


def _sync(path: Path) -> None:
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def make() -> web.Application:
    """The application."""
    app = web.Application()
    app["folder"] = Path(sys.argv[2])
    app.router.add_post("/cached", cached)
    app.router.add_post("/synced", synced)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(make(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
