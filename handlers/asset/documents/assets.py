"""Assets, their versions, and what uses them."""

from __future__ import annotations

from typing import Literal

from pydantic import computed_field
from pymongo import ASCENDING, DESCENDING, IndexModel

from bus.documents import Aggregate
from contracts.asset.rights import Rights
from contracts.asset.types import AssetKind, AssetStatus, Orientation, UserKind
from contracts.types import Instant
from handlers.asset.colors import Lab, cell_of, lab_of
from handlers.asset.documents.blobs import Media
from handlers.asset.words import label, name_key, words_of

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
    """A file in an organization's library, or in its trash.

    It is itself the version it shows; the others are AssetVersions.
    """

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
    number: int = 1
    """Of the version it shows."""
    last_number: int = 1
    versions: int = 1
    shown_since: Instant | None = None
    """When the version it shows was uploaded or restored; None: with the asset."""
    shown_by: str | None = None
    uses: int = 0
    """How many AssetUsers name it. Written whenever that changes, so that who takes it and who
    deletes it at the same time meet."""
    trashed_at: Instant | None = None
    trashed_by: str | None = None
    purge_at: Instant | None = None
    rights: Rights | None = None
    rights_due: Instant | None = None
    """When the rights expire; None once that was told."""
    rights_told: Literal["expiring"] | None = None

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
            IndexModel(
                [("organization_id", ASCENDING), ("trashed_at", ASCENDING)],
                partialFilterExpression={"trashed_at": {"$exists": True}},
                name="trash",
            ),
            IndexModel(
                [("purge_at", ASCENDING)],
                partialFilterExpression={"purge_at": {"$exists": True}},
                name="purge",
            ),
            IndexModel(
                [("rights_told", ASCENDING), ("rights_due", ASCENDING)],
                partialFilterExpression={"rights_due": {"$exists": True}},
                name="rights_due",
            ),
            IndexModel(
                [("organization_id", ASCENDING), ("rights.expires_at", ASCENDING)],
                partialFilterExpression={"rights.expires_at": {"$exists": True}},
                name="rights_expire",
            ),
        ]


IN_LIBRARY: dict[str, None] = {"trashed_at": None}
"""What every read of the library asks for: what is in the trash is not there."""


class AssetVersion(Aggregate):
    """A version that its asset does not show: an earlier one, or one that is not ready.

    Its id sorts as its number does; see ``version_id``.
    """

    organization_id: str
    asset_id: str
    number: int
    blob_id: str
    kind: AssetKind
    media_type: str
    bytes: int
    sha256: str
    status: AssetStatus = "processing"
    media: Media | None = None
    created_by: str | None = None

    class Settings:
        name = "asset_versions"
        indexes = [
            IndexModel([("asset_id", ASCENDING), ("_id", ASCENDING)], name="of_asset"),
            IndexModel([("blob_id", ASCENDING)], name="of_blob"),
        ]


Content = Asset | AssetVersion
"""What holds one version's bytes, and what was found in them."""


class AssetUser(Aggregate):
    """What uses assets, and which: kept by reactions to its events. Its id is ``{kind}:{id}``.

    It stays when what it stands for is gone, so that an event that comes late changes nothing.
    """

    organization_id: str
    kind: UserKind
    user_id: str
    name: str | None = None
    assets: list[str] = []
    seen: int = 0
    """The revision, of what it stands for, that said which assets."""
    named: int = 0
    """The revision that said its name."""

    class Settings:
        name = "asset_users"
        indexes = [
            IndexModel([("organization_id", ASCENDING), ("assets", ASCENDING)], name="of_asset")
        ]
