"""What asset answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.asset.rights import RightsView
from contracts.asset.types import AssetKind, AssetStatus, UserKind
from contracts.base import View
from contracts.types import Id, Instant, Revision, Sha256


class RenditionView(View):
    """The same picture in another size or format."""

    name: str = Field(description="Size and format, e.g. `800.webp`.")
    width: int
    height: int
    media_type: str
    bytes: int
    url: str


class UploadView(View):
    """An upload that comes in pieces (tus)."""

    id: Id
    offset: int = Field(ge=0, description="Bytes that have arrived.")
    length: int | None = Field(None, description="Bytes it will have; null while not known.")
    expires_at: Instant | None = Field(
        None, description="When what is not complete is removed; null when the asset is made."
    )
    asset_id: Id | None = Field(None, description="The asset, once there is one.")


class AssetErrorView(View):
    """Why an asset failed."""

    code: str
    detail: str


class AssetView(View):
    """An asset. Its URLs are signed and expire; read it again for fresh ones."""

    id: Id
    name: str
    kind: AssetKind
    media_type: str = Field(description="Found in the bytes, whatever the upload said.")
    bytes: int
    sha256: Sha256
    width: int | None = None
    height: int | None = None
    status: AssetStatus
    error: AssetErrorView | None = None
    url: str = Field(description="The original.")
    download_url: str | None = Field(
        None,
        description="The original, to be saved under the asset's name, with the extension of "
        "what it is.",
    )
    renditions: tuple[RenditionView, ...] = ()
    placeholder: str | None = Field(None, description="A tiny picture as a data: URI.")
    dominant_color: str | None = Field(None, description="#rrggbb")
    duration: float | None = Field(None, description="Seconds, of video and audio.")
    pages: int | None = Field(None, description="Pages of a PDF.")
    font_family: str | None = None
    font_style: str | None = Field(None, description="As the font calls it, e.g. `Bold Italic`.")
    entries: int | None = Field(None, description="Files and folders in a ZIP.")
    unpacked_bytes: int | None = Field(None, description="Bytes a ZIP unpacks to.")
    project_id: Id | None = None
    folder_id: Id | None = Field(None, description="null: in no folder.")
    tags: tuple[str, ...] = ()
    rights: RightsView | None = Field(None, description="Usage rights, when recorded.")
    versions: int = Field(1, ge=1, description="How many versions there are.")
    version: int = Field(1, ge=1, description="The number of the one that is shown here.")
    uses: int = Field(0, ge=0, description="How many things use it.")
    created_at: Instant
    updated_at: Instant | None = None
    created_by: Id | None = Field(None, description="A user or an API key, where known.")
    revision: Revision


class VersionView(View):
    """One version of an asset: its bytes, and what was made of them."""

    asset_id: Id
    number: int
    current: bool = Field(description="Whether it is what the asset shows.")
    kind: AssetKind
    media_type: str
    bytes: int
    sha256: Sha256
    width: int | None = None
    height: int | None = None
    status: AssetStatus
    error: AssetErrorView | None = None
    url: str = Field(description="The original.")
    download_url: str = Field(
        description="The original, to be saved under the asset's name, with the extension of "
        "what it is."
    )
    renditions: tuple[RenditionView, ...] = ()
    placeholder: str | None = Field(None, description="A tiny picture as a data: URI.")
    dominant_color: str | None = Field(None, description="#rrggbb")
    created_at: Instant = Field(description="When it was uploaded, or restored.")
    created_by: Id | None = Field(None, description="A user or an API key, where known.")
    revision: Revision = Field(description="The asset's.")


class AssetUseView(View):
    """Something that uses an asset."""

    kind: UserKind
    id: Id = Field(description="Of the brand whose kit it is.")
    name: str | None = None
    organization_id: Id


class TrashedAssetView(View):
    """An asset in the trash. Its URLs are good until they expire, as everywhere."""

    asset: AssetView
    deleted_at: Instant
    deleted_by: Id | None = Field(None, description="A user or an API key.")
    purge_at: Instant = Field(description="When it is removed for good.")


class UsageView(View):
    """What an organization stores."""

    bytes: int = Field(
        description="Equal contents count once; the trash and older versions count too."
    )
    quota: int | None = Field(None, description="How many it may store; null is no limit.")
    assets: int = Field(description="How many assets there are.")
    uploads: int = Field(0, description="How many uploads are under way; their bytes are held.")


class FolderView(View):
    """A folder of the library."""

    id: Id
    name: str
    parent_id: Id | None = Field(description="null: it lies at the top.")
    created_at: Instant
    revision: Revision


class TagView(View):
    """A tag, and how many assets have it."""

    tag: str
    assets: int = Field(ge=1)


class TagPage(View):
    """One page of tags, by name."""

    items: tuple[TagView, ...]
    next_cursor: str | None = Field(description="null on the last page.")


class RetagView(View):
    """A tag that is being replaced, asset by asset."""

    tag: str
    to: str
    assets: int = Field(ge=0, description="How many had it when that began.")


class BulkResultView(View):
    """What became of one asset."""

    id: Id
    status: Literal["done", "failed"]
    code: str | None = Field(None, description="Why it failed, as in a problem.")
    detail: str | None = None


class BulkView(View):
    """What became of each asset, in the order they were named."""

    results: tuple[BulkResultView, ...]
    done: int
    failed: int


class PresignedPartView(View):
    """One part of a presigned upload, and where to PUT it."""

    number: int
    url: str
    bytes: int


class PresignedUploadView(View):
    """An upload straight into the object store: PUT the bytes, then complete it.

    Either ``url`` takes all of them, or each of ``parts`` its own, in any order.
    """

    upload_id: Id
    status: Literal["open", "completed", "refused"] = "open"
    expires_at: Instant
    bytes: int
    method: Literal["PUT"] = "PUT"
    url: str | None = None
    headers: dict[str, str] = Field({}, description="To be sent with each PUT, beside its length.")
    parts: tuple[PresignedPartView, ...] = ()
    part_bytes: int | None = Field(None, description="Bytes of each part; the last has the rest.")
    asset_id: Id | None = None
