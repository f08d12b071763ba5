"""What asset stores. Bytes and renditions are in the object store."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, computed_field
from pymongo import ASCENDING, DESCENDING, IndexModel

from bus.documents import Aggregate
from contracts.asset.types import AssetKind, AssetStatus, Orientation
from contracts.types import Instant, now
from handlers.asset.colors import Lab, cell_of, lab_of
from handlers.asset.words import folder_key, label, name_key, words_of


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


class Blob(Aggregate):
    """Bytes an organization has stored, once however many of its assets have them."""

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


_FOUND_BY: dict[str, tuple[str, ...]] = {
    "by_name": ("name_key", "_id"),
    "by_bytes": ("bytes", "_id"),
    "by_change": ("updated_at", "_id"),
    "by_creation": ("created_at",),
    "by_word": ("words",),
    "by_label": ("labels",),
    "by_kind": ("kind", "_id"),
    "by_color": ("color_cell", "_id"),
    "by_creator": ("created_by", "_id"),
    "in_folder": ("folder_id", "_id"),
    "in_folder_by_name": ("folder_id", "name_key", "_id"),
}
"""Indexes of an organization's assets: what the library is sorted and filtered by."""


class Asset(Aggregate):
    """A file in an organization's library."""

    organization_id: str
    project_id: str | None = None
    folder_id: str | None = None
    created_by: str | None = None
    blob_id: str
    name: str
    kind: AssetKind
    media_type: str
    bytes: int
    sha256: str
    tags: list[str] = []
    status: AssetStatus = "processing"
    media: Media | None = None

    # Stored with the rest whoever changes it, so that what is found by is never out of date.

    @computed_field  # type: ignore[prop-decorator]
    @property
    def name_key(self) -> str:
        return name_key(self.name)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def words(self) -> list[str]:
        return words_of([self.name, *self.tags])

    @computed_field  # type: ignore[prop-decorator]
    @property
    def labels(self) -> list[str]:
        return [label(tag) for tag in self.tags]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def lab(self) -> Lab | None:
        color = self.media.dominant_color if self.media is not None else None
        return None if color is None else lab_of(color)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def color_cell(self) -> int | None:
        return None if self.lab is None else cell_of(self.lab)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def orientation(self) -> Orientation | None:
        if self.media is None or self.media.width is None or self.media.height is None:
            return None
        if self.media.width == self.media.height:
            return "square"
        return "landscape" if self.media.width > self.media.height else "portrait"

    class Settings:
        name = "assets"
        indexes = [
            IndexModel([("organization_id", ASCENDING), ("_id", DESCENDING)], name="list"),
            IndexModel([("organization_id", ASCENDING), ("project_id", ASCENDING)], name="project"),
            *(
                IndexModel(
                    [("organization_id", ASCENDING), *((each, ASCENDING) for each in fields)],
                    name=name,
                )
                for name, fields in _FOUND_BY.items()
            ),
            IndexModel([("organization_id", ASCENDING), ("sha256", ASCENDING)], name="bytes"),
            IndexModel([("blob_id", ASCENDING)], name="of_blob"),
        ]


class Folder(Aggregate):
    """A folder of a library. Whoever puts something into it holds it, and all it lies in."""

    organization_id: str
    name: str
    parent_id: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def key(self) -> str:
        return folder_key(self.name)

    class Settings:
        name = "folders"
        indexes = [
            IndexModel(
                [("organization_id", ASCENDING), ("parent_id", ASCENDING), ("key", ASCENDING)],
                unique=True,
                name="name",
            ),
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="list"),
        ]


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
    tags: list[str] = []
    expires_at: Instant
    status: Literal["open", "completed", "refused"] = "open"
    asset_id: str | None = None
    refused_as: str = ""
    refusal: str = ""

    class Settings:
        name = "presigned_uploads"
        indexes = [IndexModel([("expires_at", ASCENDING)], name="expiry")]


DOCUMENTS: list[type[Aggregate]] = [Blob, Asset, Folder, PresignedUpload]
