"""Asset's decisions, without I/O: where bytes lie and what they are taken for."""

from __future__ import annotations

from contracts.asset.transforms import MadeFormat, Transform
from contracts.asset.types import AssetKind

PIPELINE = 2
"""Version of the renditions; raised when the same bytes would be rendered differently."""

TRANSFORMS = 1
"""Version of the transforms; raised when the same bytes would be transformed differently."""


def blob_key(organization: str, blob: str) -> str:
    """The object-store key of an original."""
    return f"orgs/{organization}/blobs/{blob}"


def rendition_prefix(organization: str, blob: str) -> str:
    """Where the renditions of an original lie."""
    return f"orgs/{organization}/renditions/{blob}/"


def rendition_key(organization: str, blob: str, name: str, pipeline: int = PIPELINE) -> str:
    """The object-store key of a rendition."""
    return f"{rendition_prefix(organization, blob)}{pipeline}/{name}"


def transform_prefix(organization: str, blob: str) -> str:
    """Where the transforms of an original lie."""
    return f"orgs/{organization}/transforms/{blob}/"


def transform_formats(wanted: MadeFormat) -> tuple[str, ...]:
    """The formats that one may have come out in."""
    return ("jpeg", "png") if wanted == "still" else (wanted,)


def transform_key(
    organization: str, blob: str, transform: Transform, format_: str, *, still: bool
) -> str:
    """The object-store key of a transform: each has its own, equal ones the same.

    ``still`` tells what was made as JPEG or PNG, as the picture needs, from what was asked for
    as such: a JPEG of the one kind never stands for something transparent.
    """
    parts = [transform.mode, f"{transform.width}x{transform.height}"]
    parts += [transform.region.replace(",", "_")] if transform.region else []
    parts += [transform.gravity] if transform.gravity else []
    parts += [f"q{transform.quality}"] if transform.quality else []
    parts += ["moving"] if transform.moving else []
    parts += ["still"] if still else []
    return f"{transform_prefix(organization, blob)}{TRANSFORMS}/{'-'.join(parts)}.{format_}"


def taken_for(found: AssetKind, declared: str, filename: str) -> AssetKind:
    """What an upload is: what its bytes say; or a picture that cannot be read.

    Bytes that say nothing, under a name or type that promises a picture, are a broken
    picture: the asset then fails with a reason instead of passing for some file.
    """
    promises = declared.startswith("image/") or filename.lower().endswith(
        (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".heic", ".tif", ".tiff", ".svg")
    )
    return "image" if found == "other" and promises else found


def version_id(asset: str, number: int) -> str:
    """The id of an AssetVersion; ids of one asset sort as its numbers do."""
    return f"{asset}:{number:06d}"
