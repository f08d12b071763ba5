"""From stored bytes to an asset: where it may be put, the command, the answer."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web
from pydantic import ValidationError
from pydantic_core import from_json

from contracts.actor import Actor
from contracts.asset.commands import RegisterAsset
from contracts.asset.views import AssetView
from contracts.base import Command
from contracts.errors import DomainError
from contracts.permissions import Permission
from gateway import table
from gateway.dispatch import carry_out, respond
from gateway.errors import DependencyDown
from gateway.intake import check_references
from gateway.patience import patience
from gateway.problems import invalid
from gateway.scopes import act_in
from gateway.state import Gateway
from gateway.table import Route
from gateway.uploading.quota import Reservation
from gateway.uploading.receiving import Received, UploadParameters, discard
from handlers.asset.queries import get_asset, get_asset_status, get_folder
from handlers.asset.rules import clean_name, taken_for
from handlers.corp.queries import get_open_project

POLL = 0.1


REGISTER = table.command(
    "POST",
    "/v1/orgs/{org}/assets",
    RegisterAsset,
    allow=Permission.ASSET_WRITE,
    answers=AssetView,
    location="/v1/orgs/{org}/assets/{id}",
    references={"project_id": get_open_project, "folder_id": get_folder},
)


async def place(actor: Actor, project: str | None, folder: str | None = None) -> Actor:
    """The actor in the brand of the project, once it may take the upload; before a byte is kept."""
    with patience():
        await check_references(REGISTER, actor, {"project_id": project, "folder_id": folder})
        return await act_in(actor, REGISTER.allow, "project_id", project)


async def register(
    request: web.Request,
    gateway: Gateway,
    actor: Actor,
    received: Received,
    given: UploadParameters,
    reservation: Reservation,
) -> web.Response:
    """Make an asset of what was received, and tell the reservation what became of it."""
    try:
        command = command_for(received, given)
    except BaseException:
        await discard(received, gateway, actor)
        raise
    fingerprint: tuple[str, ...] = ()
    if "Idempotency-Key" in request.headers:
        fingerprint = (request.path, received.written.sha256, given.model_dump_json())
    return await hand_over(
        request, REGISTER, gateway, actor, command, received, reservation, fingerprint
    )


async def hand_over(
    request: web.Request,
    route: Route,
    gateway: Gateway,
    actor: Actor,
    command: Command,
    received: Received,
    reservation: Reservation,
    fingerprint: tuple[str, ...],
) -> web.Response:
    """Send the command that names received bytes; they stay only where it has taken them, or may."""
    reservation.queued(received.written.sha256)
    try:
        response = await carry_out(request, route, gateway, actor, command, fingerprint)
    except DependencyDown:
        raise
    except DomainError:
        reservation.released()
        await discard(received, gateway, actor)
        raise
    # After any other error the command may have been queued all the same, and the bytes stay.
    if response.status == 201:
        reservation.settled()
    if not _took(response, received.blob):
        reservation.released()
        await discard(received, gateway, actor)
    return response


def command_for(received: Received, given: UploadParameters) -> RegisterAsset:
    """The command for what has been received. Raises ValidationFailed."""
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
            folder_id=given.folder_id,
            tags=tuple(tags),
        )
    except ValidationError as error:
        raise invalid(error) from error


def _took(response: web.Response, blob: str) -> bool:
    """Whether something has these bytes, or may yet: not another upload's, seen before."""
    if response.status == 202:
        return "Idempotent-Replayed" not in response.headers
    assert isinstance(response.body, bytes)
    # Nobody but us has known the id so far: it is nowhere but in the asset's URLs.
    return response.status == 201 and blob.encode() in response.body


async def when_ready(
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
