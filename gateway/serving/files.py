"""Files by signed URL: Range, conditional requests, immutable caching."""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import quote

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from contracts.asset.errors import FileNotFound, FileUrlInvalid
from contracts.errors import DomainError
from gateway.errors import DependencyDown
from gateway.limits import parse_parameters
from gateway.state import Gateway
from infra.breaker import DependencyUnavailable
from infra.object_store import ObjectNotFound
from infra.signing import SignatureInvalid

INLINE = re.compile(r"(image/(?!svg)|video/|audio/|font/)[a-z0-9.+-]+")
"""Types a browser may show; anything that could run a script is downloaded."""


class FileParameters(BaseModel):
    """The signed part of a file's URL: take it as it comes."""

    model_config = ConfigDict(extra="forbid")

    expires: str
    type: str
    name: str
    sig: str


async def get_file(request: web.Request, gateway: Gateway, _: None) -> web.StreamResponse:
    """A file by the signed URL that a view gave out."""
    key = request.match_info["key"]
    try:
        given = FileParameters(**parse_parameters(request, FileParameters))
        left = gateway.signer.check(key, **given.model_dump())
    except (DomainError, SignatureInvalid, ValueError) as error:
        raise FileUrlInvalid() from error
    disposition = "inline" if INLINE.fullmatch(given.type) else "attachment"
    headers = {
        "Content-Type": given.type,
        "Content-Disposition": f"{disposition}; {_filename(given.name)}",
        "Cache-Control": f"public, max-age={left}, immutable",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    try:
        path = gateway.store.local_path(key)
        if path is None:
            return await _stream(request, gateway, key, headers)
        if not path.is_file():
            raise FileNotFound()
        return web.FileResponse(path, headers=headers)
    except (ObjectNotFound, ValueError) as error:
        raise FileNotFound() from error
    except DependencyUnavailable as error:
        raise DependencyDown(
            "The object store is not available.", retry_after=error.retry_after
        ) from error


def _filename(name: str) -> str:
    """``filename`` for old clients and ``filename*`` for all (RFC 6266, RFC 8187)."""
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", name)
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def _stream(
    request: web.Request, gateway: Gateway, key: str, headers: dict[str, str]
) -> web.StreamResponse:
    """From a store that is elsewhere. Objects never change under their key, so it is the ETag."""
    stat = await gateway.store.stat(key)
    headers["ETag"] = f'"{key.rpartition("/")[2]}-{stat.bytes}"'
    headers["Accept-Ranges"] = "bytes"
    if headers["ETag"] in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    start, end = 0, stat.bytes
    status = 200
    asked = None
    with suppress(ValueError):  # a Range that is none is ignored
        asked = request.http_range if "Range" in request.headers else None
    if asked is not None and request.headers.get("If-Range", headers["ETag"]) == headers["ETag"]:
        start, end, _ = asked.indices(stat.bytes)
        status = 206
        if start >= end and stat.bytes:
            headers["Content-Range"] = f"bytes */{stat.bytes}"
            return web.Response(status=416, headers=headers)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{stat.bytes}"
    headers["Content-Length"] = str(end - start)
    response = web.StreamResponse(status=status, headers=headers)
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    async with gateway.store.read(key, start, end) as chunks:
        await response.prepare(request)
        async for chunk in chunks:
            await response.write(chunk)
    await response.write_eof()
    return response
