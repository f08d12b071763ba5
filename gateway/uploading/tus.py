"""The tus resumable upload protocol 1.0.0: a file in pieces, gone on with after any break."""

from __future__ import annotations

from aiohttp import web
from pydantic import ValidationError

from contracts.actor import Actor
from contracts.asset.errors import TypeForbidden, UploadEmpty, UploadOffsetWrong
from contracts.asset.views import UploadView
from contracts.permissions import Permission
from contracts.types import new_id
from gateway.dispatch import respond
from gateway.limits import parse_parameters
from gateway.patience import patience
from gateway.problems import invalid
from gateway.scopes import act_in
from gateway.state import Gateway
from gateway.uploading.arriving import admitted, arriving, verified
from gateway.uploading.receiving import UploadParameters
from gateway.uploading.registering import place
from gateway.uploading.resumable import Resumables, Upload, too_large
from gateway.uploading.tus_completing import check_draft, complete, refuse
from gateway.uploading.tus_protocol import (
    Checksum,
    Metadata,
    check_media_type,
    check_version,
    checksum_in,
    discovery,
    expires_header,
    length_in,
    metadata_in,
    number_in,
    wrong,
)
from gateway.uploading.tus_quota import held, hold, hold_on, hold_still, release
from infra.leases import Lease
from infra.staged_uploads import Finished, Note

WHOLE_PATIENCE = 60.0
"""Seconds a question waits for an upload whose last request is still being finished."""


async def describe_uploads(request: web.Request, gateway: Gateway, _: None) -> web.Response:
    """What is supported of the tus protocol, as headers."""
    parse_parameters(request, None)
    return web.Response(status=204, headers=discovery(gateway.resumables.limit))


async def create_upload(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """Begin a resumable upload (tus), with its first bytes if there are any."""
    parse_parameters(request, None)
    check_version(request)
    if "Upload-Concat" in request.headers:
        raise wrong("Upload-Concat", "is not supported: send one upload")
    length = _checked_length(length_in(request), gateway)
    metadata = metadata_in(request)
    checksum = checksum_in(request)
    given, declared = _given(metadata)
    brings_bytes = request.can_read_body
    if brings_bytes:
        check_media_type(request)
    if length is not None and (request.content_length or 0) > length:
        raise too_large(length, length)
    acting = await place(actor, given.project_id, given.folder_id)
    note = Note(
        length=length,
        metadata=metadata.raw,
        filename=given.filename or "",
        declared=declared,
        project_id=given.project_id,
        folder_id=given.folder_id,
        tags=given.tags or "",
        command=gateway.senders.new_id(actor.user, "asset"),
    )
    check_draft(note)
    resumables, org, id = gateway.resumables, request.match_info["org"], new_id("upl")
    await hold(gateway, acting, id, length or 0)
    finished: Finished | None = None
    try:
        upload = await resumables.create(org, id, note)
        if brings_bytes:
            async with resumables.locked(org, id) as lease:
                upload = await _write(request, gateway, acting, upload, checksum, lease)
                if upload.whole:
                    finished = await complete(request, gateway, acting, upload)
    except BaseException:
        # Nobody knows its address: nobody could go on with it.
        if await resumables.discard_unsent(org, id):
            await release(gateway, acting, id)
        raise
    headers = _fate(upload, finished, resumables)
    if brings_bytes:
        headers["Upload-Offset"] = str(upload.offset)
    return web.Response(status=201, headers={"Location": f"/v1/orgs/{org}/uploads/{id}", **headers})


async def get_upload(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """How far a resumable upload has come; HEAD is as the tus protocol has it."""
    parse_parameters(request, None)
    if request.method == "HEAD":
        check_version(request)
    resumables, (org, id) = gateway.resumables, _names(request)
    if (finished := await resumables.find_finished(org, id)) is None:
        upload = await resumables.find(org, id)
        acting = await _act(actor, upload)
        if upload.whole:
            # Whoever asks takes it for done: so it has to be.
            async with resumables.locked(org, id, WHOLE_PATIENCE):
                if (finished := await resumables.find_finished(org, id)) is None:
                    upload = await resumables.find(org, id)
                    finished = await complete(request, gateway, acting, upload)
    if finished is not None:
        view = UploadView(
            id=id, offset=finished.length, length=finished.length, asset_id=finished.asset_id
        )
        metadata, fate = finished.metadata, _at_asset(org, finished)
    else:
        view = UploadView(
            id=id,
            offset=upload.offset,
            length=upload.note.length,
            expires_at=resumables.uploads.expires(upload.staged),
        )
        metadata, fate = upload.note.metadata, _fate(upload, None, resumables)
    headers = {"Upload-Offset": str(view.offset), "Cache-Control": "no-store", **fate}
    if view.length is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(view.length)
    if metadata:
        headers["Upload-Metadata"] = metadata
    return respond(request, 200, view.model_dump(mode="json"), headers)


async def append_to_upload(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """Go on with a resumable upload (tus): bytes from an offset on."""
    parse_parameters(request, None)
    check_version(request)
    check_media_type(request)
    offset = number_in(request, "Upload-Offset")
    if offset is None:
        raise wrong("Upload-Offset", "is required")
    given, checksum = number_in(request, "Upload-Length"), checksum_in(request)
    resumables, (org, id) = gateway.resumables, _names(request)
    async with resumables.locked(org, id) as lease:
        finished = await resumables.find_finished(org, id)
        if finished is not None:
            if offset != finished.length:
                raise UploadOffsetWrong(f"The upload is complete, at {finished.length}.")
            if request.can_read_body:
                raise too_large(finished.length, finished.length)
            return _appended(finished.length, _at_asset(org, finished))
        upload = await resumables.find(org, id)
        acting = await _act(actor, upload)
        if offset != upload.offset:
            raise UploadOffsetWrong(f"The offset is {upload.offset}.")
        upload = await _with_length(upload, given, gateway)
        limit = resumables.limit if upload.note.length is None else upload.note.length
        if offset + (request.content_length or 0) > limit or (
            upload.whole and request.can_read_body
        ):
            raise too_large(limit, upload.note.length)
        await hold_on(gateway, acting, upload)
        if not upload.whole:
            upload = await _write(request, gateway, acting, upload, checksum, lease)
        finished = await complete(request, gateway, acting, upload) if upload.whole else None
        return _appended(upload.offset, _fate(upload, finished, resumables))


async def delete_upload(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """Give a resumable upload up (tus); an asset that it has become stays."""
    parse_parameters(request, None)
    check_version(request)
    resumables, (org, id) = gateway.resumables, _names(request)
    async with resumables.locked(org, id):
        if not await resumables.uploads.forget(org, id):
            upload = await resumables.find(org, id)
            acting = await _act(actor, upload)
            if upload.note.registering is None:
                await resumables.discard(upload)
                await release(gateway, acting, id)
            else:
                # The command may have been carried out: it must not be sent once more.
                await complete(request, gateway, acting, upload)
                await resumables.uploads.forget(org, id)
    return web.Response(status=204)


async def override_upload(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """HEAD, PATCH or DELETE of a resumable upload, named by X-HTTP-Method-Override (tus)."""
    parse_parameters(request, None)
    method = request.headers.get("X-HTTP-Method-Override", "").upper()
    if method == "PATCH":
        return await append_to_upload(request, gateway, actor)
    if method == "DELETE":
        return await delete_upload(request, gateway, actor)
    if method == "HEAD":
        check_version(request)
        shown = await get_upload(request, gateway, actor)
        headers = {each: shown.headers[each] for each in shown.headers if each != "Content-Type"}
        return web.Response(status=204, headers=headers)
    org, id = _names(request)
    if await gateway.resumables.find_finished(org, id) is None:
        await gateway.resumables.find(org, id)
    raise wrong("X-HTTP-Method-Override", "must be HEAD, PATCH or DELETE")


async def _write(
    request: web.Request,
    gateway: Gateway,
    actor: Actor,
    upload: Upload,
    checksum: Checksum | None,
    lease: Lease,
) -> Upload:
    """Add what the request brings; the upload after it."""
    resumables, assets = gateway.resumables, gateway.settings.assets
    chunks = held(gateway, actor, upload, arriving(request, lease))
    if checksum is not None:
        folder = resumables.staging.scratch
        chunks = verified(chunks, checksum, folder=folder, free_disk=assets.free_disk)
    if upload.offset == 0:
        chunks = admitted(chunks, upload.note.filename, assets.forbidden)
    try:
        await resumables.write(upload, chunks, lease)
    except TypeForbidden:
        await refuse(gateway, actor, upload)
        raise
    finally:
        with patience():
            await resumables.uploads.touch(upload.org, upload.id)
    found = await resumables.find(upload.org, upload.id)
    await hold_still(gateway, actor, found)
    return found


async def _act(actor: Actor, upload: Upload) -> Actor:
    """The actor in the brand of the upload's project. Raises PermissionMissing."""
    with patience():
        return await act_in(actor, Permission.ASSET_WRITE, "project_id", upload.note.project_id)


async def _with_length(upload: Upload, given: int | None, gateway: Gateway) -> Upload:
    """The upload with the length that was to be said later, where it is said now."""
    known = upload.note.length
    if given is None or given == known:
        return upload
    if known is not None:
        raise wrong("Upload-Length", f"was said to be {known}, and does not change")
    _checked_length(given, gateway)
    if given < upload.offset:
        raise wrong("Upload-Length", f"is less than the {upload.offset} bytes that have come")
    note = upload.note.model_copy(update={"length": given})
    return await gateway.resumables.note(upload, note)


def _checked_length(length: int | None, gateway: Gateway) -> int | None:
    if length == 0:
        raise UploadEmpty()
    if length is not None and length > gateway.resumables.limit:
        raise too_large(gateway.resumables.limit, None)
    return length


def _given(metadata: Metadata) -> tuple[UploadParameters, str]:
    """What the metadata says of the asset, and the type it claims. Other keys say nothing here."""
    named = {
        "filename": metadata.text("filename", "name"),
        "project_id": metadata.text("project_id") or None,
        "folder_id": metadata.text("folder_id") or None,
        "tags": metadata.text("tags"),
    }
    try:
        given = UploadParameters(
            **{key: value for key, value in named.items() if value is not None}
        )
    except ValidationError as error:
        raise invalid(error, prefix="Upload-Metadata/") from error
    return given, metadata.text("filetype", "type") or ""


def _names(request: web.Request) -> tuple[str, str]:
    return request.match_info["org"], request.match_info["upload"]


def _at_asset(org: str, finished: Finished) -> dict[str, str]:
    return {"Content-Location": f"/v1/orgs/{org}/assets/{finished.asset_id}"}


def _fate(upload: Upload, finished: Finished | None, resumables: Resumables) -> dict[str, str]:
    """Where the asset is, or until when the upload can be gone on with."""
    if finished is not None:
        return _at_asset(upload.org, finished)
    return {"Upload-Expires": expires_header(resumables.uploads.expires(upload.staged))}


def _appended(offset: int, fate: dict[str, str]) -> web.Response:
    return web.Response(status=204, headers={"Upload-Offset": str(offset), **fate})
