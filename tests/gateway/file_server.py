"""The routes of files over HTTP, in this process, with a store of the test's choice behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from aiohttp import web

from gateway.app import decorator_of, middleware_of
from gateway.serving.files import get_file
from gateway.serving.transforms import get_transformed
from infra.object_store import ObjectStore
from infra.settings import FilesSettings, Settings
from infra.signing import FileSigner
from tests.infra.stores import chunks

KEY = "orgs/org_a/blobs/blb_x"


class FileServer:
    """Signs URLs and serves them."""

    def __init__(self, store: ObjectStore, *, stall: float = 30.0) -> None:
        self.store = store
        self.signer = FileSigner("", [b"k" * 32], 3600)
        self.settings = Settings(files=FilesSettings(stall=stall))
        self.gateway: Any = SimpleNamespace(
            store=store, signer=self.signer, settings=self.settings, pictures=None
        )
        self.running = 0
        self.ended = asyncio.Event()
        self.base = ""
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FileServer]:
        app = web.Application(middlewares=[middleware_of(self.settings)])
        app.on_response_prepare.append(decorator_of(self.settings))
        for path, answer in (
            ("/files/transforms/{key:.+}", get_transformed),
            ("/files/{key:.+}", get_file),
        ):
            for method in ("GET", "HEAD"):
                app.router.add_route(method, path, self._bound(answer))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self.base = f"http://127.0.0.1:{self.port}"
        yield self
        await runner.cleanup()

    def _bound(self, answer: Any) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.running += 1
            try:
                response: web.StreamResponse = await answer(request, self.gateway, None)
                return response
            finally:
                self.running -= 1
                self.ended.set()

        return handle

    async def put(self, data: bytes, key: str = KEY) -> None:
        await self.store.write(key, chunks(data), media_type="image/png", limit=len(data))

    def url(self, key: str = KEY, **more: Any) -> str:
        return self.signer.url(key, **{"media_type": "image/png", "filename": "a.png", **more})
