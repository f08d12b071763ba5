"""Receiving an upload: raw or as a form, streamed into the object store in constant memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import aiohttp
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bus.deadlines import Within
from contracts.actor import Actor
from contracts.asset.errors import (
    StorageFull,
    UploadCut,
    UploadEmpty,
    UploadMalformed,
    UploadTooLarge,
)
from contracts.errors import DomainError, FieldError
from contracts.types import Id, new_id
from gateway.errors import DependencyDown, MediaTypeUnsupported, ValidationFailed
from gateway.problems import invalid
from gateway.state import Gateway
from gateway.uploading.quota import Reservation
from handlers.asset.kinds import admit
from handlers.asset.rules import blob_key
from infra.breaker import DependencyUnavailable
from infra.media import HEAD_BYTES, Sniffed
from infra.object_store import ObjectTooLarge, StoreFull, Written

CHUNK = 256 * 1024
SMALL = 32 * 1024
"""Bytes of a piece below which copying costs less than a turn of its own."""
IDLE = 60.0
"""Seconds without a byte after which an upload counts as cut."""
FIELD_LIMIT = 8 * 1024
_PLAIN = ("binary", "8bit", "7bit")
TEXTS = ("filename", "project_id", "folder_id", "tags")


class UploadParameters(BaseModel):
    """Query parameters of an upload; the first four may be form fields instead."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    filename: Annotated[str | None, Field(max_length=1024, description="Name of the asset.")] = None
    project_id: Annotated[Id | None, Field(description="Project to put it in.")] = None
    folder_id: Annotated[Id | None, Field(description="Folder to put it in.")] = None
    tags: Annotated[
        str | None, Field(max_length=4000, description="Tags, separated by commas.")
    ] = None
    wait: Annotated[
        Literal["ready"] | None, Field(description="Answer when the renditions are made.")
    ] = None


@dataclass(slots=True)
class Received:
    """What has been stored of an upload so far."""

    blob: str
    written: Written
    found: Sniffed
    declared: str
    filename: str


def require_plain(request: web.Request) -> None:
    """Raises MediaTypeUnsupported for a body that is sent compressed.

    Whether such a body has come whole cannot be told: half of a gzip is as good as one.
    """
    if set(tokens_of(request, "Content-Encoding")) - {"identity"}:
        raise MediaTypeUnsupported("Send the bytes as they are, without Content-Encoding.")
    if set(tokens_of(request, "Transfer-Encoding")) - {"chunked"}:
        raise MediaTypeUnsupported("Transfer-Encoding may be chunked, and nothing else.")


def tokens_of(request: web.Request, header: str) -> list[str]:
    """What a header lists, in small letters."""
    listed = ",".join(request.headers.getall(header, [])).split(",")
    return [each.strip().lower() for each in listed if each.strip()]


async def receive(
    chunks: AsyncIterator[bytes], gateway: Gateway, actor: Actor, *, declared: str, filename: str
) -> Received:
    """Store the bytes under a new blob id; nothing stays when they cannot be had whole."""
    limit = gateway.settings.assets.upload_limit
    blob = new_id("blb")
    stream = _lively(chunks)
    begun: list[bytes] = []
    length = 0
    async for chunk in stream:
        begun.append(chunk)
        length += len(chunk)
        if length >= HEAD_BYTES:
            break
    if not length:
        raise UploadEmpty()
    head = b"".join([chunk[:HEAD_BYTES] for chunk in begun])[:HEAD_BYTES]
    found = admit(head, filename, forbidden=gateway.settings.assets.forbidden)

    async def whole() -> AsyncIterator[bytes]:
        # As they came: to put them together would copy them once more.
        for chunk in begun:
            yield chunk
        begun.clear()
        async for chunk in stream:
            yield chunk

    try:
        written = await gateway.store.write(
            blob_key(actor.tenant, blob), whole(), media_type=found.media_type, limit=limit
        )
    except ObjectTooLarge as error:
        raise UploadTooLarge(f"At most {limit} bytes are taken.") from error
    except StoreFull as error:
        raise StorageFull(retry_after=60) from error
    except DependencyUnavailable as error:
        raise DependencyDown(
            "The object store is not available.", retry_after=error.retry_after
        ) from error
    return Received(blob, written, found, declared, filename)


async def _lively(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks, until one is too long in coming or the connection breaks."""
    while True:
        try:
            with Within(IDLE):
                chunk = await anext(chunks, None)
        except (TimeoutError, ConnectionError, web.RequestPayloadError) as error:
            raise UploadCut() from error
        except (aiohttp.ClientError, ValueError) as error:
            raise UploadMalformed() from error
        if chunk is None:
            return
        if chunk:
            yield chunk


async def receive_form(
    request: web.Request,
    gateway: Gateway,
    actor: Actor,
    given: UploadParameters,
    place: Callable[[UploadParameters], Awaitable[None]],
    reservation: Reservation,
    texts: tuple[str, ...] = TEXTS,
) -> tuple[Received, UploadParameters]:
    """Store the file of a form, once ``place`` takes its project and folder; what else it says.

    They may be said after the file too: ``place`` then hears of it last. ``texts`` are the
    fields it may have beside the file.
    """
    placed = given
    received: Received | None = None
    fields: dict[str, str] = {}
    try:
        reader = await request.multipart()
        while True:
            async with asyncio.timeout(IDLE):
                part = await reader.next()
            if part is None:
                break
            if not isinstance(part, BodyPartReader):
                raise UploadMalformed("A part of the form is itself multipart.")
            name = part.name or ""
            if (
                part.headers.get("Content-Transfer-Encoding", "binary").strip().lower()
                not in _PLAIN
            ):
                raise UploadMalformed(
                    "The parts of a form are sent as they are, without Content-Transfer-Encoding."
                )
            if name == "file" and received is None:
                placed = _merged(given, fields)
                await place(placed)
                received = await receive(
                    reservation.counted(_part_chunks(part)),
                    gateway,
                    actor,
                    declared=part.headers.get("Content-Type", ""),
                    filename=given.filename or part.filename or "",
                )
            elif name in texts and part.filename is None and (name == "tags" or name not in fields):
                fields[name] = await _field(part, name, fields.get(name))
            else:
                raise ValidationFailed(
                    f"The form field {name[:100]!r} is not known here, or came twice.",
                    errors=[_field_error(name, "extra_forbidden", "is not known, or came twice")],
                )
    except DomainError:
        await discard(received, gateway, actor)
        raise
    except TimeoutError as error:
        await discard(received, gateway, actor)
        raise UploadCut() from error
    except (
        ValueError,
        AssertionError,
        RuntimeError,
        HttpProcessingError,
        aiohttp.ClientError,
        ConnectionError,
    ) as error:
        await discard(received, gateway, actor)
        raise UploadMalformed("The multipart body is not well formed.") from error
    if received is None:
        raise ValidationFailed(
            "The form has no part called file.",
            errors=[_field_error("file", "missing", "a file part is required")],
        )
    try:
        merged = _merged(given, fields)
        if (merged.project_id, merged.folder_id) != (placed.project_id, placed.folder_id):
            await place(merged)
    except BaseException:
        await discard(received, gateway, actor)
        raise
    if merged.filename:
        received.filename = merged.filename
    return received, merged


def _merged(given: UploadParameters, fields: dict[str, str]) -> UploadParameters:
    try:
        return UploadParameters(**{**given.model_dump(exclude_none=True), **fields})
    except ValidationError as error:
        raise invalid(error) from error


async def discard(received: Received | None, gateway: Gateway, actor: Actor) -> None:
    """Remove bytes that no command names, or none that could be carried out."""
    if received is not None:
        with contextlib.suppress(DependencyUnavailable, OSError):
            await gateway.store.delete([blob_key(actor.tenant, received.blob)])


async def chunks_of(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """A body as it was received: large pieces as they are, small ones that wait put together."""
    begun = False
    while True:
        chunk, _ = await content.readchunk()
        if len(chunk) < SMALL and begun:
            chunk += content.read_nowait()
        if chunk:
            begun = True
            yield chunk
        elif content.at_eof():
            return


async def _part_chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK):
        yield chunk


async def _field(part: BodyPartReader, name: str, before: str | None) -> str:
    body = bytearray()
    known = 0 if before is None else len(before) + 1
    async for chunk in _lively(_part_chunks(part)):
        body += chunk
        if known + len(body) > FIELD_LIMIT:
            break
    # Together with what came before under this name: a form may go on for ever.
    if known + len(body) > FIELD_LIMIT:
        raise ValidationFailed(
            f"The form field {name} is too long.",
            errors=[_field_error(name, "string_too_long", f"at most {FIELD_LIMIT} bytes")],
        )
    text = body.decode("utf-8")
    return f"{before},{text}" if before is not None and name == "tags" else text


def _field_error(name: str, code: str, detail: str) -> FieldError:
    return FieldError(pointer=f"/{name}"[:200], code=code, detail=detail)
