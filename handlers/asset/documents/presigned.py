"""Uploads that go straight into the store."""

from __future__ import annotations

from typing import Literal

from pymongo import ASCENDING, IndexModel

from bus.documents import Aggregate
from contracts.types import Instant


class PresignedUpload(Aggregate):
    """Bytes on their way straight into the object store; forgotten some time after it expires."""

    organization_id: str
    user_id: str
    blob_id: str
    multipart_id: str | None = None
    part_bytes: int | None = None
    bytes: int
    filename: str
    media_type: str = ""
    sha256: str | None = None
    project_id: str | None = None
    folder_id: str | None = None
    tags: list[str] = []
    expires_at: Instant
    status: Literal["open", "completed", "refused"] = "open"
    asset_id: str | None = None
    refused_as: str = ""
    refusal: str = ""

    class Settings:
        name = "presigned_uploads"
        indexes = [IndexModel([("expires_at", ASCENDING)], name="expiry")]
