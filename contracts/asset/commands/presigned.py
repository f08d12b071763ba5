"""Commands of uploads straight into the object store."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.asset.types import Tags
from contracts.base import Command, Contract, FromRequest
from contracts.types import Id, Instant, Sha256, Text

FromGateway = FromRequest("gateway")


class PresignUpload(Command):
    """Begin an upload straight into the object store: where to put the bytes, by which URLs."""

    wire = "asset.upload.presign"

    filename: Annotated[Text, Field(min_length=1)]
    bytes: Annotated[int, Field(ge=1, le=2**53, description="Exactly as many will be taken.")]
    media_type: Annotated[
        str | None,
        Field(max_length=127, pattern=r"^[!-~ ]*$", description="A hint; the bytes decide."),
    ] = None
    sha256: Annotated[
        Sha256 | None, Field(description="Refuse the bytes unless they have this digest.")
    ] = None
    project_id: Id | None = None
    folder_id: Id | None = None
    tags: Tags = ()
    upload_id: Annotated[Id | None, FromGateway] = None
    blob_id: Annotated[Id | None, FromGateway] = None
    multipart_id: Annotated[
        str | None, FromGateway, Field(max_length=1024, description="The store's own id.")
    ] = None
    part_bytes: Annotated[int | None, FromGateway, Field(ge=1)] = None
    expires_at: Annotated[Instant | None, FromGateway] = None


class UploadedPart(Contract):
    """A part, and the ETag that the store gave for it."""

    number: Annotated[int, Field(ge=1, le=10_000)]
    etag: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]


class CompleteUpload(Command):
    """Make an asset of what was put straight into the object store, once it is verified."""

    wire = "asset.upload.complete"
    lane = "slow"

    upload_id: Id
    parts: Annotated[
        tuple[UploadedPart, ...] | None,
        Field(
            min_length=1,
            max_length=10_000,
            description="Optional: the store knows which have arrived.",
        ),
    ] = None


class AbortUpload(Command):
    """Give up a presigned upload; what has arrived of it is removed."""

    wire = "asset.upload.abort"

    presigned: Id


class ExpireUpload(Command):
    """Forget a presigned upload whose time is over."""

    wire = "asset.upload.expire"

    upload_id: Id


class ClearUpload(Command):
    """Remove from the object store what a presigned upload has left there and nobody needs."""

    wire = "asset.upload.clear"
    lane = "slow"

    organization_id: Id
    upload_id: Id
    blob_id: Id
    multipart_id: str | None = None
