"""A newer version of an asset: received as any upload, then added by a command."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json

from contracts.actor import Actor
from contracts.asset.commands import AddVersion
from contracts.asset.errors import UploadTooLarge
from contracts.asset.views import AssetView, VersionView
from contracts.corp.errors import ProjectNotFound
from contracts.errors import DomainError, RevisionMismatch
from contracts.permissions import Permission
from gateway import table
from gateway.dispatch import respond
from gateway.intake import if_match
from gateway.limits import parse_parameters
from gateway.patience import patience
from gateway.scopes import act_in_path
from gateway.state import Gateway
from gateway.uploading.metrics import Measured, measured
from gateway.uploading.quota import Reservation
from gateway.uploading.receiving import (
    CHUNK,
    Received,
    UploadParameters,
    chunks_of,
    receive,
    receive_form,
    require_plain,
)
from gateway.uploading.registering import POLL, hand_over
from handlers.asset.queries import get_asset, get_version
from handlers.asset.rules import taken_for
from handlers.corp.queries import get_open_project

VERSIONS = "/v1/orgs/{org}/assets/{asset}/versions"

ADD = table.command(
    "POST",
    VERSIONS,
    AddVersion,
    allow=Permission.ASSET_WRITE,
    answers=VersionView,
    location=VERSIONS + "/{number}",
)


class VersionParameters(BaseModel):
    """Query parameters of an upload of a version."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    filename: Annotated[
        str | None,
        Field(max_length=1024, description="Name of the file; the asset's stays as it is."),
    ] = None
    wait: Annotated[
        Literal["ready"] | None, Field(description="Answer when the renditions are made.")
    ] = None


async def upload_version(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """Upload a newer version: its raw bytes, or multipart/form-data with a part called file."""
    own = VersionParameters(**parse_parameters(request, VersionParameters))
    form = request.content_type.startswith("multipart/")
    with measured("form" if form else "raw") as upload:
        response = await _upload(request, gateway, actor, own, upload, form=form)
    if own.wait and response.status == 201:
        return await _when_ready(request, response, gateway, actor)
    return response


async def _upload(
    request: web.Request,
    gateway: Gateway,
    actor: Actor,
    own: VersionParameters,
    upload: Measured,
    *,
    form: bool,
) -> web.Response:
    given = UploadParameters(filename=own.filename, wait=own.wait)
    require_plain(request)
    limit = gateway.settings.assets.upload_limit
    if request.content_length is not None and request.content_length > limit + CHUNK:
        raise UploadTooLarge(f"At most {limit} bytes are taken.")
    with patience():
        acting = await act_in_path(ADD, actor, request.match_info)
        asset = await _open_asset(actor, request.match_info["asset"], if_match(request))
    assert acting is not None
    size = None if form else request.content_length
    async with gateway.quota.reserved(actor, size) as reservation:
        received = await _received(request, gateway, actor, given, form, reservation)
        received.filename = received.filename or asset.name
        command = _command_for(received, asset.id, if_match(request))
        print_of_request = (request.path, received.written.sha256, given.model_dump_json())
        response = await hand_over(
            request, ADD, gateway, acting, command, received, reservation, print_of_request
        )
    upload.status, upload.bytes = response.status, received.written.bytes
    return response


async def _open_asset(actor: Actor, asset: str, revision: int | None) -> AssetView:
    """The asset, when it takes a version: asked before a byte is kept, and again by the command."""
    view = await get_asset(actor, asset)
    if revision is not None and revision != view.revision:
        raise RevisionMismatch(
            f"You named revision {revision}; the stored revision is {view.revision}."
        )
    if view.project_id is not None:
        # Of a project that is gone, the asset is about to be taken out.
        with contextlib.suppress(ProjectNotFound):
            await get_open_project(actor, view.project_id)
    return view


async def _received(
    request: web.Request,
    gateway: Gateway,
    actor: Actor,
    given: UploadParameters,
    form: bool,
    reservation: Reservation,
) -> Received:
    if not form:
        return await receive(
            reservation.counted(chunks_of(request.content)),
            gateway,
            actor,
            declared=request.content_type,
            filename=given.filename or "",
        )

    async def anywhere(_: UploadParameters) -> None:
        """It is where the asset is."""

    received, _ = await receive_form(
        request, gateway, actor, given, anywhere, reservation, texts=("filename",)
    )
    return received


def _command_for(received: Received, asset: str, revision: int | None) -> AddVersion:
    return AddVersion(
        asset=asset,
        blob_id=received.blob,
        media_type=received.found.media_type,
        kind=taken_for(received.found.kind, received.declared, received.filename),
        bytes=received.written.bytes,
        sha256=received.written.sha256,
        **({} if revision is None else {"if_revision": revision}),
    )


async def _when_ready(
    request: web.Request, response: web.Response, gateway: Gateway, actor: Actor
) -> web.Response:
    """The version once it is processed, or as it is when waiting has taken too long."""
    assert isinstance(response.body, bytes)
    made = from_json(response.body)
    view: VersionView | None = None
    # It may be removed meanwhile: then it is answered as it was.
    with contextlib.suppress(TimeoutError, DomainError):
        async with asyncio.timeout(gateway.settings.gateway.reply_timeout):
            while view is None or view.status == "processing":
                view = await get_version(actor, made["asset_id"], str(made["number"]))
                await asyncio.sleep(POLL if view.status == "processing" else 0)
    kept = ("Location", "Idempotent-Replayed")
    headers = {name: response.headers[name] for name in kept if name in response.headers}
    return respond(request, 201, view.model_dump(mode="json") if view else made, headers)
