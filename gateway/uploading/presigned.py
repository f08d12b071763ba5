"""Uploads straight into the object store: their room in the quota, and the URLs for them."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from datetime import timedelta
from typing import Any

from aiohttp import web
from pydantic_core import from_json

from contracts.actor import Actor
from contracts.asset.commands import CompleteUpload, PresignUpload
from contracts.asset.errors import PresignUnavailable, UploadTooLarge
from contracts.asset.views import PresignedPartView, PresignedUploadView
from contracts.errors import DomainError
from contracts.types import new_id, now
from gateway.dispatch import carry_out, respond
from gateway.errors import DependencyDown
from gateway.limits import parse_parameters
from gateway.patience import patience
from gateway.state import Gateway
from gateway.table import Route
from gateway.uploading.metrics import measured_since
from gateway.uploading.registering import place
from handlers.asset.documents import PresignedUpload
from handlers.asset.queries import get_presigned
from handlers.asset.queries.presigned import presigned_view
from handlers.asset.rules import blob_key, incoming_key, part_sizes, presigned_grace
from infra.breaker import DependencyUnavailable
from infra.object_store import DirectUploads
from infra.settings import GIB, MIB

ONE_PUT = 16 * MIB
"""Bytes up to which an upload is one PUT; more come in parts."""
PARTS = 200
"""About how many parts there are at most: each has a URL in the answer."""
LARGEST_PART = 5 * GIB
WEEK = 7 * 86400
"""Seconds for which a URL can be signed at most."""


async def presign(
    request: web.Request,
    route: Route,
    gateway: Gateway,
    actor: Actor,
    command: PresignUpload,
    print_of_request: tuple[bytes | str, ...],
) -> web.Response:
    """Hold the bytes, begin the parts, let the upload be noted, sign its URLs."""
    direct = _direct(gateway, actor)
    limit = gateway.settings.assets.upload_limit
    if command.bytes > limit:
        raise UploadTooLarge(f"At most {limit} bytes are taken.")
    expire = min(gateway.settings.uploads.expire, WEEK)
    upload, blob = new_id("upl"), new_id("blb")
    key = blob_key(actor.tenant, blob)
    lease = expire + 2 * presigned_grace(expire) + 60
    await gateway.quota.hold(actor, upload, command.bytes, lease=lease)
    part_bytes = part_bytes_of(command.bytes, gateway.settings.store.part_bytes)
    multipart: str | None = None

    async def undo() -> None:
        # What cannot be undone now expires.
        with contextlib.suppress(DependencyDown):
            await gateway.quota.end(actor, upload, "released")
        if multipart is not None:
            with contextlib.suppress(DependencyUnavailable):
                await direct.abort(key, multipart)

    try:
        if part_bytes is not None:
            multipart = await direct.begin(key)
    except DependencyUnavailable as error:
        await undo()
        raise DependencyDown(
            "The object store is not available.", retry_after=error.retry_after
        ) from error
    filled = command.model_copy(
        update={
            "upload_id": upload,
            "blob_id": blob,
            "multipart_id": multipart,
            "part_bytes": part_bytes,
            "expires_at": now() + timedelta(seconds=expire),
        }
    )
    signing = replace(route, present=functools.partial(_present, direct))
    try:
        response = await carry_out(request, signing, gateway, actor, filled, print_of_request)
    except DependencyDown:
        raise  # it may have been noted all the same
    except DomainError:
        await undo()
        raise
    if not _took(response, upload):
        await undo()
    return response


async def complete(
    request: web.Request,
    route: Route,
    gateway: Gateway,
    actor: Actor,
    command: CompleteUpload,
    print_of_request: tuple[bytes | str, ...],
) -> web.Response:
    """Let it be verified; measured from when its URLs were given out."""
    with measured_since("presigned", command.upload_id) as upload:
        await _check_place(actor, command.upload_id)
        response = await carry_out(request, route, gateway, actor, command, print_of_request)
        upload.status = response.status
        if response.status == 201:
            assert isinstance(response.body, bytes)
            upload.bytes = from_json(response.body)["bytes"]
    return response


async def _check_place(actor: Actor, upload: str) -> None:
    """Where it goes may be gone since it was begun: asked before its bytes are read."""
    with patience():
        found = await get_presigned(actor, upload)
        if found.status == "open":
            await place(actor, found.project_id, found.folder_id)


def part_bytes_of(total: int, smallest: int) -> int | None:
    """Bytes of each part of an upload; None where it is a single PUT."""
    if total <= ONE_PUT:
        return None
    whole = -(-total // PARTS)
    # In whole MiB, so that the numbers are round.
    return min(max(smallest, -(-whole // MIB) * MIB), LARGEST_PART)


async def get_presigned_upload(
    request: web.Request, gateway: Gateway, actor: Actor
) -> web.Response:
    """A presigned upload of one's own: how it stands, and while it is open its URLs anew."""
    parse_parameters(request, None)
    upload = await get_presigned(actor, request.match_info["presigned"])
    view = await _signed(_direct(gateway, actor), upload)
    return respond(request, 200, view.model_dump(mode="json"), {"Cache-Control": "no-store"})


def _direct(gateway: Gateway, actor: Actor) -> DirectUploads:
    direct = gateway.store.direct()
    if direct is None:
        raise PresignUnavailable(
            "Files are kept in a folder here. Upload through the gateway: by tus at "
            f"/v1/orgs/{actor.tenant}/uploads, or by POST /v1/orgs/{actor.tenant}/assets."
        )
    return direct


async def _present(direct: DirectUploads, actor: Actor, result: Any) -> PresignedUploadView:
    return await _signed(direct, await get_presigned(actor, result["upload_id"]))


async def _signed(direct: DirectUploads, upload: PresignedUpload) -> PresignedUploadView:
    view = presigned_view(upload)
    seconds = int((upload.expires_at - now()).total_seconds())
    if upload.status != "open" or seconds < 1:
        return view
    if upload.multipart_id is None:
        came = incoming_key(upload.organization_id, upload.id)
        target = await direct.target(came, upload.bytes, seconds)
        return view.model_copy(update={"url": target.url, "headers": target.headers})
    sizes = part_sizes(upload.bytes, upload.part_bytes)
    key = blob_key(upload.organization_id, upload.blob_id)
    targets = await direct.part_targets(key, upload.multipart_id, sizes, seconds)
    parts = [
        PresignedPartView(number=number, url=target.url, bytes=size)
        for number, (target, size) in enumerate(zip(targets, sizes, strict=True), 1)
    ]
    return view.model_copy(update={"parts": tuple(parts)})


def _took(response: web.Response, upload: str) -> bool:
    """Whether it is this upload that was noted, or may be: not one of the same key before."""
    if response.status == 202:
        return "Idempotent-Replayed" not in response.headers
    assert isinstance(response.body, bytes)
    return response.status == 201 and from_json(response.body)["upload_id"] == upload
