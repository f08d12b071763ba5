"""A tus client for tests: each request by hand."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway_client import TUS, Answer, Api

BYTES = "application/offset+octet-stream"


def metadata(**given: str | bytes) -> str:
    """As Upload-Metadata has it."""
    return ",".join(
        f"{key} {base64.b64encode(value.encode() if isinstance(value, str) else value).decode()}"
        for key, value in given.items()
    )


@dataclass
class Tus:
    """Uploads of one organization through one gateway."""

    api: Api
    org: str

    @property
    def path(self) -> str:
        return f"/v1/orgs/{self.org}/uploads"

    def at(self, api: Api) -> Tus:
        """The same uploads as somebody else, or by another gateway."""
        return Tus(api, self.org)

    async def create(
        self, length: int | None = None, *, data: Any = None, meta: str = "", **headers: str
    ) -> Answer:
        """``headers`` are named with underscores."""
        sent = {**TUS}
        if length is not None:
            sent["Upload-Length"] = str(length)
        if meta:
            sent["Upload-Metadata"] = meta
        if data is not None:
            sent["Content-Type"] = BYTES
        return await self.api.post(self.path, data=data, headers={**sent, **_named(headers)})

    async def created(self, length: int, **more: Any) -> str:
        """The path of a new upload."""
        made = await self.create(length, **more)
        assert made.status == 201, str(made)
        return made.headers["Location"]

    async def head(self, path: str) -> Answer:
        return await self.api("HEAD", path, headers=TUS)

    async def offset(self, path: str) -> int:
        found = await self.head(path)
        assert found.status == 200, str(found)
        return int(found.headers["Upload-Offset"])

    async def patch(self, path: str, offset: int | str, data: Any, **headers: str) -> Answer:
        sent = {**TUS, "Content-Type": BYTES, "Upload-Offset": str(offset)}
        return await self.api.patch(path, data=data, headers={**sent, **_named(headers)})

    async def delete(self, path: str) -> Answer:
        return await self.api.delete(path, headers=TUS)

    async def asset(self, answer: Answer) -> Any:
        """The asset that an answer leads to."""
        shown = await self.api.get(answer.headers["Content-Location"])
        assert shown.status == 200, str(shown)
        return shown.json


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@contextlib.asynccontextmanager
async def sending(
    tus: Tus, path: str, offset: int, length: int, *, method: str = "PATCH"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A PATCH by hand, of which the head has been sent; the body is the test's."""
    parts = urlsplit(tus.api.base)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tus.api.token}\r\n"
        f"Tus-Resumable: 1.0.0\r\nContent-Type: {BYTES}\r\nUpload-Offset: {offset}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    )
    writer.write(head.encode())
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
