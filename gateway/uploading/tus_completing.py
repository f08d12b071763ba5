"""From a whole resumable upload to an asset: once, whatever breaks in between."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from aiohttp import web

from contracts.actor import Actor
from contracts.asset.commands import RegisterAsset
from contracts.asset.errors import TypeForbidden, UploadNotFound
from contracts.errors import DomainError, FieldError
from gateway.dispatch import send
from gateway.errors import CommandLost
from gateway.idempotency import Answer
from gateway.state import Gateway
from gateway.uploading.metrics import measured_since
from gateway.uploading.receiving import Received, UploadParameters
from gateway.uploading.registering import REGISTER, command_for, place
from gateway.uploading.resumable import Resumables, Upload
from gateway.uploading.tus_quota import hold_on, release
from handlers.asset.kinds import admit
from infra.media import HEAD_BYTES, Sniffed
from infra.media_table import UNKNOWN
from infra.object_store import ObjectNotFound, Written
from infra.staged_uploads import Finished, Note, blob_of


def check_draft(note: Note) -> None:
    """Raise ValidationFailed where no asset could be made of it, whatever its bytes."""
    _command(note, blob_of("upl"), Written(1, "0" * 64), UNKNOWN)


def _command(note: Note, blob: str, written: Written, found: Sniffed) -> RegisterAsset:
    return command_for(
        Received(blob, written, found, note.declared, note.filename),
        UploadParameters(project_id=note.project_id, folder_id=note.folder_id, tags=note.tags),
    )


async def complete(
    request: web.Request, gateway: Gateway, actor: Actor, upload: Upload
) -> Finished | None:
    """Make the asset; None where it will be made, and nobody knows yet which.

    The upload is locked. The command is noted before it is sent, with its id: a second try
    sends the same one, which is carried out once. Raises what ``place`` does, what the worker
    refuses with, and DependencyDown; then everything stays, for another try.
    """
    with measured_since("tus", upload.id) as ended:
        finished = await _complete(request, gateway, actor, upload)
        ended.bytes, ended.status = upload.offset, 202 if finished is None else 201
    return finished


async def _complete(
    request: web.Request, gateway: Gateway, actor: Actor, upload: Upload
) -> Finished | None:
    resumables = gateway.resumables
    acting = await place(actor, upload.note.project_id, upload.note.folder_id)
    if upload.note.registering is None:
        try:
            upload = await _assembled(resumables, upload, gateway.settings.assets.forbidden)
        except TypeForbidden:
            await refuse(gateway, acting, upload)
            raise
    command = RegisterAsset.model_validate(upload.note.registering)
    await gateway.quota.end(acting, upload.id, "queued", command.bytes, sha256=command.sha256)
    try:
        answer = await send(request, REGISTER, gateway, acting, command, upload.note.command)
    except CommandLost:
        await _begin_again(gateway, acting, upload)
        raise
    if answer.problem:
        await _begin_again(gateway, acting, upload)
        raise _refusal(answer)
    if answer.status != REGISTER.status:
        return None
    assert answer.body is not None
    await gateway.quota.end(acting, upload.id, "settled", command.bytes)
    finished = Finished(
        length=command.bytes, metadata=upload.note.metadata, asset_id=answer.body["id"]
    )
    await resumables.finish(upload, finished)
    return finished


async def refuse(gateway: Gateway, actor: Actor, upload: Upload) -> None:
    """Remove what can never become an asset."""
    with suppress(UploadNotFound):
        # As it is now: its bytes may have been assembled.
        await gateway.resumables.discard(await gateway.resumables.find(upload.org, upload.id))
    await release(gateway, actor, upload.id)


async def _assembled(resumables: Resumables, upload: Upload, forbidden: Sequence[str]) -> Upload:
    """The upload with its bytes where a blob's lie, and the command that makes an asset of them."""
    try:
        sha256 = await resumables.assemble(upload)
        head = await resumables.head(upload, HEAD_BYTES)
    except ObjectNotFound as error:
        raise UploadNotFound("What had arrived of it is gone.") from error
    found = admit(head, upload.note.filename, forbidden=forbidden)
    command = _command(upload.note, blob_of(upload.id), Written(upload.offset, sha256), found)
    noted = upload.note.model_copy(update={"registering": command.model_dump(mode="json")})
    return await resumables.note(upload, noted)


async def _begin_again(gateway: Gateway, actor: Actor, upload: Upload) -> None:
    """The next try is another command: this one has ended, and would end so again."""
    id = gateway.senders.new_id(actor.user, RegisterAsset.domain())
    again = upload.note.model_copy(update={"command": id, "registering": None})
    await hold_on(gateway, actor, await gateway.resumables.note(upload, again))


def _refusal(answer: Answer) -> DomainError:
    """What a worker refused with, to be raised here."""
    assert answer.body is not None
    later = answer.headers.get("Retry-After")
    return DomainError.all()[answer.body["code"]](
        answer.body["detail"],
        errors=[FieldError.model_validate(each) for each in answer.body.get("errors", ())],
        retry_after=None if later is None else float(later),
    )
