"""An S3 over real HTTP, and one that fails on demand in front of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aioboto3
from aiohttp import ClientSession, web
from moto.server import ThreadedMotoServer
from multidict import CIMultiDict
from yarl import URL

DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


@contextmanager
def moto_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@asynccontextmanager
async def made_bucket(url: str, name: str) -> AsyncIterator[Any]:
    """A client of the S3 at ``url``, with the bucket made."""
    session = aioboto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
    async with session.client("s3", endpoint_url=url, region_name="us-east-1") as client:
        await client.create_bucket(Bucket=name)
        yield client


class FlakyS3:
    """Forwards to a real one, except for what it was told to spoil."""

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self.seen: Counter[str] = Counter()
        self.refuse = 0
        self.refuse_with = (503, SLOW_DOWN)
        self.drop = 0
        self.lose_answers = 0
        self.cut_bodies = 0
        self.cut_writes = 0
        self.only: str | None = None
        self._upstream = upstream

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FlakyS3]:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with ClientSession(auto_decompress=False) as self._client:
            yield self
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        operation = _operation(request)
        self.seen[operation] += 1
        spoiled = self.only in (None, operation)
        if spoiled and self.cut_writes:
            self.cut_writes -= 1
            await request.content.readany()
            return _hang_up(request)
        body = await request.read()
        if spoiled and self.refuse:
            self.refuse -= 1
            status, text = self.refuse_with
            return web.Response(status=status, text=text, content_type="application/xml")
        if spoiled and self.drop:
            self.drop -= 1
            return _hang_up(request)
        headers = CIMultiDict(request.headers)
        url = URL(self._upstream + request.raw_path, encoded=True)
        async with self._client.request(request.method, url, headers=headers, data=body) as answer:
            content = await answer.read()
            kept = CIMultiDict(answer.headers)
            status = answer.status
        if spoiled and self.lose_answers:
            self.lose_answers -= 1
            return _hang_up(request)
        for name in ("Transfer-Encoding", "Connection", "Server", "Date"):
            kept.popall(name, None)
        if spoiled and self.cut_bodies and request.method == "GET" and len(content) > 1:
            self.cut_bodies -= 1
            response = web.StreamResponse(status=status, headers=kept)
            await response.prepare(request)
            await response.write(content[: len(content) // 2])
            return _hang_up(request, response)
        if request.method == "HEAD":
            return web.Response(status=status, headers=kept)
        kept.popall("Content-Length", None)
        return web.Response(status=status, headers=kept, body=content)


def _hang_up(
    request: web.Request, response: web.StreamResponse | None = None
) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort() if response is None else request.transport.close()
    return response or web.Response()


def _operation(request: web.Request) -> str:
    query = request.query
    if "partNumber" in query:
        return "part"
    if "uploadId" in query:
        return {"POST": "complete", "DELETE": "abort"}.get(request.method, "other")
    if "uploads" in query:
        return "create" if request.method == "POST" else "uploads"
    return request.method.lower()
