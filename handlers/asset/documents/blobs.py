"""Stored bytes, and what was found in them."""

from __future__ import annotations

from pydantic import BaseModel
from pymongo import ASCENDING, IndexModel

from bus.documents import Aggregate
from contracts.asset.types import AssetKind
from contracts.types import Instant, now

_PASSING = {
    "asset.image_timeout",
    "asset.image_failed",
    "asset.inspection_timeout",
    "asset.bytes_missing",
}


class StoredRendition(BaseModel):
    """One rendition in the object store."""

    name: str
    key: str
    width: int
    height: int
    media_type: str
    bytes: int


class Media(BaseModel):
    """What looking into some bytes has found, or why they are not what they seem.

    ``kind`` is set where it is another than the first bytes said.
    """

    pipeline: int
    kind: AssetKind | None = None
    width: int | None = None
    height: int | None = None
    placeholder: str | None = None
    dominant_color: str | None = None
    renditions: list[StoredRendition] = []
    duration: float | None = None
    pages: int | None = None
    font_family: str | None = None
    font_style: str | None = None
    entries: int | None = None
    unpacked_bytes: int | None = None
    error_code: str | None = None
    error_detail: str | None = None

    @property
    def may_pass(self) -> bool:
        """Whether the next look may find more: it was the machine that failed, or may have been."""
        return self.error_code in _PASSING


class Blob(Aggregate):
    """Bytes an organization has stored, once however many of its assets have them.

    Each version of an asset counts as a reference of its own, in the trash too.
    """

    organization_id: str
    sha256: str
    bytes: int
    media_type: str
    references: int = 1
    media: Media | None = None
    replaced_at: Instant | None = None
    """When renditions were last made anew, while those of before are still there."""

    def take(self, media: Media) -> bool:
        """Have these findings in place of earlier ones; False when the earlier stay.

        They do where a new pipeline cannot render what an earlier one could.
        """
        before = self.media
        if before is not None and media.error_code and not before.error_code:
            return False
        if before is not None and before.renditions and before.pipeline != media.pipeline:
            self.replaced_at = now()
        self.media = media
        return True

    class Settings:
        name = "blobs"
        indexes = [
            IndexModel(
                [("replaced_at", ASCENDING)],
                partialFilterExpression={"replaced_at": {"$type": "date"}},
                name="replaced",
            ),
            IndexModel(
                [("organization_id", ASCENDING), ("sha256", ASCENDING)], unique=True, name="bytes"
            ),
            # Holds all that the sum of an organization's bytes takes.
            IndexModel([("organization_id", ASCENDING), ("bytes", ASCENDING)], name="stored"),
        ]
