"""What assets need: uploads, what is made of them, files, the library."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from infra.settings.concern import GIB, MIB, Concern, split_list

ForbiddenKind = Annotated[
    str,
    Field(
        pattern=r"^(image|video|audio|font|document|archive|other|[a-z]+/(\*|[a-zA-Z0-9.+-]+))$",
        max_length=127,
    ),
]


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
        2,
        ge=1,
        le=64,
        description="Processes that render images, per asset worker; more than cores, or than slow_slots, gain nothing.",
    )
    image_timeout: float = Field(120.0, gt=0, description="Seconds rendering one image may take.")
    image_memory: int = Field(
        2 * GIB,
        ge=256 * MIB,
        description="Bytes of address space growth one rendering process may take.",
    )

    forbidden: Annotated[list[ForbiddenKind], NoDecode, BeforeValidator(split_list)] = Field(
        [],
        description="Kinds (image, video, audio, font, document, archive, other) and media types "
        "(video/mp4, audio/*) that are refused besides programs, scripts and pages, "
        "comma-separated.",
    )
    archive_entries: int = Field(10_000, ge=1, le=1_000_000, description="Entries a ZIP may have.")
    archive_bytes: int = Field(16 * GIB, ge=1, description="Bytes a ZIP may unpack to.")
    archive_ratio: int = Field(
        100,
        ge=1,
        description="How many times its own size a ZIP may unpack to, past the first 64 MiB.",
    )
    inspect_timeout: float = Field(
        120.0, gt=0, description="Seconds looking into a ZIP, PDF, font, video or audio may take."
    )
    inspect_bytes: int = Field(
        GIB,
        ge=0,
        description="Bytes of a PDF, font, video or audio past which it is not fetched from a "
        "remote store to be looked into.",
    )
    pipeline: int | None = Field(
        None,
        ge=1,
        description="Version of the renditions, where it is not the program's: when it changes, `grid8 replay --group asset --type asset.asset.uploaded` has them made anew.",
    )
    replaced_kept: int | None = Field(
        None,
        ge=0,
        description="Seconds renditions are kept after they were made anew; by default as long as a signed URL of them may be good.",
    )


class UploadsSettings(Concern):
    expire: int = Field(
        86400,
        ge=10,
        description="Seconds an upload that is not complete is kept after its last byte.",
    )
    open: int = Field(
        200,
        ge=1,
        description="Uploads of an organization that may be incomplete at the same time.",
    )
    quota: int = Field(
        100 * GIB, ge=0, description="Bytes an organization may store; 0 is no limit."
    )
    sweep_every: int = Field(
        6 * 3600,
        ge=60,
        description="Seconds between walks through the store for what killed processes left there.",
    )
    orphan_age: int = Field(
        10 * 86400,
        ge=3600,
        description="Seconds after which stored bytes that nobody registered are removed; never sooner than expire and 8 days.",
    )


class FilesSettings(Concern):
    cdn_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]+$",
        description="Where signed URLs of files begin, when a CDN stands before the gateway. Its cache key is the path with the whole query, and Accept below /files/transforms/.",
    )
    stall: float = Field(
        60.0,
        gt=0,
        description="Seconds a reader may take for 256 KiB of a file before it is cut off.",
    )
    transform_side: int = Field(
        4096, ge=16, le=16_383, description="Pixels a side of a transformed picture may have."
    )
    transforms_kept: int = Field(
        200,
        ge=1,
        description="Transforms of one original that are stored; past it, the longest made go.",
    )
    transform_workers: int = Field(
        1, ge=1, le=64, description="Processes that render transforms, per asset worker."
    )
    transform_timeout: float = Field(
        30.0, gt=0, lt=60, description="Seconds rendering one transform may take."
    )
    transform_pause: float = Field(
        10.0,
        ge=1,
        description="Seconds in which a transform that could not be rendered is not tried again.",
    )


class LibrarySettings(Concern):
    folders: int = Field(5000, ge=1, description="Folders an organization may have.")
    trash_days: int = Field(
        30, ge=0, description="Days after which what is in the trash is removed for good."
    )
