"""A stored object as a response: whole or in parts, on conditions, and never a part for the whole."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime

import structlog
from aiohttp import web

from contracts.asset.errors import FileChanged, FileNotFound, RangeOutside
from gateway.serving.conditions import Span, Validators, failed, spans
from gateway.serving.finding import store_down
from gateway.state import Gateway
from infra.breaker import DependencyUnavailable
from infra.object_store import ObjectNotFound, ObjectStat
from infra.problems import problem_response

log = structlog.get_logger(__name__)

POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """How a file is shown. ``left`` is for how many seconds caches may keep it."""

    media_type: str
    disposition: str
    left: int
    vary: str | None = None


async def send_object(
    request: web.Request, gateway: Gateway, stat: ObjectStat, shown: Shown
) -> web.StreamResponse:
    """Answer with an object, or with what the request's conditions make of it.

    Raises FileNotFound, FileChanged (412) and DependencyDown before anything was sent. What goes
    wrong later cuts the connection: a client then sees that it has not had the whole.
    """
    file = validators_of(stat)
    headers = {
        "ETag": file.etag,
        "Last-Modified": format_datetime(file.modified, usegmt=True),
        "Cache-Control": f"public, max-age={shown.left}, immutable",
    }
    if shown.vary is not None:
        headers["Vary"] = shown.vary
    status = failed(request, file)
    if status == 412:
        raise FileChanged()
    if status == 304:
        return web.Response(status=304, headers=headers)
    headers |= POLICY | {
        "Accept-Ranges": "bytes",
        "Content-Type": shown.media_type,
        "Content-Disposition": shown.disposition,
    }
    parts = spans(request, file, stat.bytes)
    if parts == []:
        return problem_response(
            RangeOutside(f"The file has {stat.bytes} bytes."),
            request["id"],
            {"Content-Range": f"bytes */{stat.bytes}", "Accept-Ranges": "bytes"},
        )
    if parts is None:
        return await _send(request, gateway, stat, 200, headers, [((0, stat.bytes), b"")])
    if len(parts) == 1:
        headers["Content-Range"] = _content_range(parts[0], stat.bytes)
        return await _send(request, gateway, stat, 206, headers, [(parts[0], b"")])
    boundary = secrets.token_hex(12)
    heads = [
        (
            f"\r\n--{boundary}\r\nContent-Type: {shown.media_type}\r\n"
            f"Content-Range: {_content_range(part, stat.bytes)}\r\n\r\n"
        ).encode()
        for part in parts
    ]
    headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    end = f"\r\n--{boundary}--\r\n".encode()
    pieces = list(zip(parts, heads, strict=True))
    return await _send(request, gateway, stat, 206, headers, pieces, end)


def validators_of(stat: ObjectStat) -> Validators:
    """Objects never change under their key, but one may be made again after it was removed."""
    state = f"{stat.key} {stat.bytes} {stat.modified.isoformat()}"
    digest = hashlib.sha256(state.encode()).hexdigest()[:20]
    return Validators(f'"{digest}"', stat.modified.replace(microsecond=0))


def _content_range(part: Span, size: int) -> str:
    return f"bytes {part[0]}-{part[1] - 1}/{size}"


async def _send(
    request: web.Request,
    gateway: Gateway,
    stat: ObjectStat,
    status: int,
    headers: Mapping[str, str],
    pieces: list[tuple[Span, bytes]],
    end: bytes = b"",
) -> web.StreamResponse:
    """Each piece is what is read from the object, and what is said before it."""
    response = web.StreamResponse(status=status, headers=headers)
    length = len(end) + sum(stop - start + len(head) for (start, stop), head in pieces)
    response.content_length = length
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    try:
        for (start, stop), head in pieces:
            async with gateway.store.read(stat.key, start, stop) as chunks:
                if not response.prepared:
                    await response.prepare(request)
                await _write(response, head, gateway)
                left = stop - start
                async for chunk in chunks:
                    left -= len(chunk)
                    await _write(response, chunk, gateway)
                if left:
                    raise EOFError(f"{left} bytes of {stat.key} are missing")
        await _write(response, end, gateway)
        await response.write_eof()
    except ObjectNotFound as error:
        if not response.prepared:
            raise FileNotFound() from error
        _cut(request, stat, error)
    except (DependencyUnavailable, TimeoutError) as error:
        if not response.prepared:
            raise store_down(error) from error
        _cut(request, stat, error)
    except Exception as error:
        if not response.prepared:
            raise
        _cut(request, stat, error)
    return response


async def _write(response: web.StreamResponse, data: bytes, gateway: Gateway) -> None:
    if data:
        async with asyncio.timeout(gateway.settings.files.stall):
            await response.write(data)


def _cut(request: web.Request, stat: ObjectStat, error: Exception) -> None:
    """End the connection where the response stands: it must not look complete."""
    gone = request.transport is None or request.transport.is_closing()
    if request.transport is not None:
        request.transport.abort()
    if not gone:
        log.warning("file_cut_off", key=stat.key, reason=repr(error)[:300])
