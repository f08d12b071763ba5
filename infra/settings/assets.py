"""What assets need: uploads, what is made of them, files, the library."""

from __future__ import annotations

from pydantic import Field

from infra.settings.concern import GIB, MIB, Concern


class AssetSettings(Concern):
    upload_limit: int = Field(5 * GIB, ge=1024, description="Bytes one upload may have.")
    free_disk: int = Field(
        512 * MIB,
        ge=0,
        description="Bytes that must stay free on the local store's disk; below, uploads get 503.",
    )
    max_pixels: int = Field(100_000_000, ge=1, description="Pixels an image may have (100 MP).")
    max_side: int = Field(65_535, ge=1, description="Pixels a side of an image may have.")
    max_frames: int = Field(500, ge=1, description="Frames an animation may have.")
    image_workers: int = Field(
        1, ge=1, le=64, description="Processes that render images, per asset worker."
    )
    image_timeout: float = Field(120.0, gt=0, description="Seconds rendering one image may take.")
    image_memory: int = Field(
        2 * GIB,
        ge=256 * MIB,
        description="Bytes of address space growth one rendering process may take.",
    )


class UploadsSettings(Concern):
    expire: int = Field(
        86400,
        ge=10,
        description="Seconds an upload that is not complete is kept after its last byte.",
    )
    quota: int = Field(
        100 * GIB, ge=0, description="Bytes an organization may store; 0 is no limit."
    )


class FilesSettings(Concern):
    cdn_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]+$",
        description="Where signed URLs of files begin, when a CDN stands before the gateway.",
    )


class LibrarySettings(Concern):
    trash_days: int = Field(
        30,
        ge=0,
        le=36500,
        description="Days after which what is in the trash is removed for good; 0: at once.",
    )
    versions: int = Field(
        100, ge=2, description="Versions an asset has at most; beyond, the oldest goes."
    )
    rights_notice: int = Field(
        30,
        ge=0,
        le=3650,
        description="Days before rights expire that it is told; 0: only when they have.",
    )
