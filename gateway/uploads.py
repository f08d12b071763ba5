"""Uploads: streamed into the object store in constant memory, then registered by a command."""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Literal

import aiohttp
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from contracts.actor import Actor
from contracts.asset.commands import RegisterAsset
from contracts.asset.errors import (
    StorageFull,
    UploadCut,
    UploadEmpty,
    UploadMalformed,
    UploadTooLarge,
)
from contracts.asset.views import AssetView
from contracts.errors import DomainError, FieldError
from contracts.permissions import Permission
from contracts.types import Id, new_id
from gateway.dispatch import carry_out, check_references, respond
from gateway.errors import DependencyDown, ValidationFailed
from gateway.limits import parse_parameters
from gateway.problems import invalid
from gateway.state import Gateway
from gateway.table import command
from handlers.asset.queries import get_asset, get_asset_status
from handlers.asset.rules import blob_key, taken_for
from handlers.corp.queries import get_project
from infra.breaker import DependencyUnavailable
from infra.media import HEAD_BYTES, Sniffed, sniff
from infra.object_store import ObjectTooLarge, StoreFull, Written

CHUNK = 256 * 1024
IDLE = 60.0
"""Seconds without a byte after which an upload counts as cut."""
FIELD_LIMIT = 8 * 1024
POLL = 0.1


class UploadParameters(BaseModel):
    """Query parameters of an upload; the first three may be form fields instead."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    filename: Annotated[str | None, Field(max_length=1024, description="Name of the asset.")] = None
    project_id: Annotated[Id | None, Field(description="Project to put it in.")] = None
    tags: Annotated[
        str | None, Field(max_length=4000, description="Tags, separated by commas.")
    ] = None
    wait: Annotated[
        Literal["ready"] | None, Field(description="Answer when the renditions are made.")
    ] = None


@dataclass(slots=True)
class _Received:
    """What has been stored of an upload so far."""

    blob: str
    written: Written
    found: Sniffed
    declared: str
    filename: str


REGISTER = command(
    "POST",
    "/v1/orgs/{org}/assets",
    RegisterAsset,
    allow=Permission.ASSET_WRITE,
    answers=AssetView,
    location="/v1/orgs/{org}/assets/{id}",
    references={"project_id": get_project},
)


async def upload_asset(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """Upload a file: its raw bytes, or multipart/form-data with a part called file."""
    given = UploadParameters(**parse_parameters(request, UploadParameters))
    limit = gateway.settings.assets.upload_limit
    if request.content_length is not None and request.content_length > limit + CHUNK:
        raise UploadTooLarge(f"At most {limit} bytes are taken.")
    if request.content_type.startswith("multipart/"):
        received, given = await _receive_form(request, gateway, actor, given)
    else:
        received = await _receive(
            request.content.iter_chunked(CHUNK),
            gateway,
            actor,
            declared=request.content_type,
            filename=given.filename or "",
        )
    response = await _register(request, gateway, actor, received, given)
    if given.wait and response.status == 201:
        return await _when_ready(request, response, gateway, actor)
    return response


async def _receive(
    chunks: AsyncIterator[bytes], gateway: Gateway, actor: Actor, *, declared: str, filename: str
) -> _Received:
    """Store the bytes under a new blob id; nothing stays when they cannot be had whole."""
    limit = gateway.settings.assets.upload_limit
    blob = new_id("blb")
    stream = _lively(chunks)
    head = bytearray()
    async for chunk in stream:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    if not head:
        raise UploadEmpty()
    found = sniff(bytes(head), filename)

    async def whole() -> AsyncIterator[bytes]:
        yield bytes(head)
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
    return _Received(blob, written, found, declared, filename)


async def _lively(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks, until one is too long in coming or the connection breaks."""
    while True:
        try:
            async with asyncio.timeout(IDLE):
                chunk = await anext(chunks, None)
        except (TimeoutError, ConnectionError, web.RequestPayloadError) as error:
            raise UploadCut() from error
        except (aiohttp.ClientError, ValueError) as error:
            raise UploadMalformed() from error
        if chunk is None:
            return
        if chunk:
            yield chunk


async def _receive_form(
    request: web.Request, gateway: Gateway, actor: Actor, given: UploadParameters
) -> tuple[_Received, UploadParameters]:
    received: _Received | None = None
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
            if name == "file" and received is None:
                received = await _receive(
                    _part_chunks(part),
                    gateway,
                    actor,
                    declared=part.headers.get("Content-Type", ""),
                    filename=given.filename or part.filename or "",
                )
            elif name in ("filename", "project_id", "tags") and part.filename is None:
                fields[name] = await _field(part, name, fields.get(name))
            else:
                raise ValidationFailed(
                    f"The form field {name[:100]!r} is not known here, or came twice.",
                    errors=[_field_error(name, "extra_forbidden", "is not known, or came twice")],
                )
    except DomainError:
        await _discard(received, gateway, actor)
        raise
    except TimeoutError as error:
        await _discard(received, gateway, actor)
        raise UploadCut() from error
    except (
        ValueError,
        AssertionError,
        RuntimeError,
        HttpProcessingError,
        aiohttp.ClientError,
        ConnectionError,
    ) as error:
        await _discard(received, gateway, actor)
        raise UploadMalformed("The multipart body is not well formed.") from error
    if received is None:
        raise ValidationFailed(
            "The form has no part called file.",
            errors=[_field_error("file", "missing", "a file part is required")],
        )
    try:
        merged = UploadParameters(**{**given.model_dump(exclude_none=True), **fields})
    except ValidationError as error:
        await _discard(received, gateway, actor)
        raise invalid(error) from error
    if merged.filename:
        received.filename = merged.filename
    return received, merged


async def _discard(received: _Received | None, gateway: Gateway, actor: Actor) -> None:
    """Remove bytes that no command names, or none that could be carried out."""
    if received is not None:
        with contextlib.suppress(DependencyUnavailable, OSError):
            await gateway.store.delete([blob_key(actor.tenant, received.blob)])


async def _part_chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK):
        yield chunk


async def _field(part: BodyPartReader, name: str, before: str | None) -> str:
    body = bytearray()
    async for chunk in _lively(_part_chunks(part)):
        body += chunk
        if len(body) > FIELD_LIMIT:
            raise ValidationFailed(
                f"The form field {name} is too long.",
                errors=[_field_error(name, "string_too_long", f"at most {FIELD_LIMIT} bytes")],
            )
    text = body.decode("utf-8")
    return f"{before},{text}" if before is not None and name == "tags" else text


def _field_error(name: str, code: str, detail: str) -> FieldError:
    return FieldError(pointer=f"/{name}"[:200], code=code, detail=detail)


async def _register(
    request: web.Request,
    gateway: Gateway,
    actor: Actor,
    received: _Received,
    given: UploadParameters,
) -> web.Response:
    try:
        register = _command_for(received, given)
        await check_references(REGISTER, actor, {"project_id": given.project_id})
    except BaseException:
        await _discard(received, gateway, actor)
        raise
    fingerprint = (request.path, received.written.sha256, given.model_dump_json())
    try:
        response = await carry_out(request, REGISTER, gateway, actor, register, fingerprint)
    except DependencyDown:
        raise
    except DomainError:
        await _discard(received, gateway, actor)
        raise
    # After any other error the command may have been queued all the same, and the bytes stay.
    if not _took(response, received.blob):
        await _discard(received, gateway, actor)
    return response


def _command_for(received: _Received, given: UploadParameters) -> RegisterAsset:
    tags = [tag.strip() for tag in (given.tags or "").split(",") if tag.strip()]
    try:
        return RegisterAsset(
            blob_id=received.blob,
            name=clean_name(received.filename),
            media_type=received.found.media_type,
            kind=taken_for(received.found.kind, received.declared, received.filename),
            bytes=received.written.bytes,
            sha256=received.written.sha256,
            project_id=given.project_id,
            tags=tuple(tags),
        )
    except ValidationError as error:
        raise invalid(error) from error


def _took(response: web.Response, blob: str) -> bool:
    """Whether an asset has these bytes, or may yet: not another upload's, seen before."""
    if response.status == 202:
        return "Idempotent-Replayed" not in response.headers
    assert isinstance(response.body, bytes)
    return response.status == 201 and blob in from_json(response.body)["url"]


def clean_name(filename: str) -> str:
    """A file's own name: without folders and control characters, 120 characters at most."""
    name = unicodedata.normalize("NFC", filename.replace("\\", "/").rpartition("/")[2])
    name = "".join(each for each in name if unicodedata.category(each)[0] != "C").strip()
    stem, dot, extension = name.rpartition(".")
    if dot and len(name) > 120 and len(extension) <= 10:
        name = stem[: 119 - len(extension)] + dot + extension
    return name[:120] or "untitled"


async def _when_ready(
    request: web.Request, response: web.Response, gateway: Gateway, actor: Actor
) -> web.Response:
    """The asset once it is processed, or as it is when waiting has taken too long."""
    assert isinstance(response.body, bytes)
    asset = from_json(response.body)["id"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(gateway.settings.gateway.reply_timeout):
            while await get_asset_status(actor, asset) == "processing":  # noqa: ASYNC110 - it ends elsewhere
                await asyncio.sleep(POLL)
    view = await get_asset(actor, asset)
    kept = ("Location", "Idempotent-Replayed")
    headers = {name: response.headers[name] for name in kept if name in response.headers}
    return respond(request, 201, view.model_dump(mode="json"), headers)
