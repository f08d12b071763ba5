"""An upload in one request: streamed into the object store, then registered by a command."""

from __future__ import annotations

from aiohttp import web

from contracts.actor import Actor
from contracts.asset.errors import UploadTooLarge
from gateway.limits import parse_parameters
from gateway.state import Gateway
from gateway.uploading.metrics import Measured, measured
from gateway.uploading.receiving import (
    CHUNK,
    UploadParameters,
    chunks_of,
    receive,
    receive_form,
    require_plain,
)
from gateway.uploading.registering import place, register, when_ready


async def upload_asset(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """Upload a file: its raw bytes, or multipart/form-data with a part called file."""
    form = request.content_type.startswith("multipart/")
    with measured("form" if form else "raw") as upload:
        response, given = await _upload(request, gateway, actor, upload, form=form)
    if given.wait and response.status == 201:
        return await when_ready(request, response, gateway, actor)
    return response


async def _upload(
    request: web.Request, gateway: Gateway, actor: Actor, upload: Measured, *, form: bool
) -> tuple[web.Response, UploadParameters]:
    given = UploadParameters(**parse_parameters(request, UploadParameters))
    require_plain(request)
    limit = gateway.settings.assets.upload_limit
    if request.content_length is not None and request.content_length > limit + CHUNK:
        raise UploadTooLarge(f"At most {limit} bytes are taken.")
    acting = actor

    async def placed(where: UploadParameters) -> None:
        nonlocal acting
        acting = await place(actor, where.project_id, where.folder_id)

    if not form:
        await placed(given)
    # Of a form, the length tells only about how large its file is.
    size = None if form else request.content_length
    async with gateway.quota.reserved(actor, size) as reservation:
        if form:
            received, given = await receive_form(
                request, gateway, actor, given, placed, reservation
            )
        else:
            received = await receive(
                reservation.counted(chunks_of(request.content)),
                gateway,
                actor,
                declared=request.content_type,
                filename=given.filename or "",
            )
        response = await register(request, gateway, acting, received, given, reservation)
    upload.status, upload.bytes = response.status, received.written.bytes
    return response, given
