"""Asset's decisions, without I/O: where bytes lie and what they are taken for."""

from __future__ import annotations

import unicodedata

from contracts.asset.transforms import MadeFormat, Transform
from contracts.asset.types import AssetKind

PIPELINE = 2
"""Version of the renditions; raised when the same bytes would be rendered differently."""

TRANSFORMS = 1
"""Version of the transforms; raised when the same bytes would be transformed differently."""


def blob_key(organization: str, blob: str) -> str:
    """The object-store key of an original."""
    return f"orgs/{organization}/blobs/{blob}"


ORGANIZATIONS = "orgs/"
"""What the keys of all organizations begin with."""


def stored_as(key: str) -> str | None:
    """The id of the blob or presigned upload that an object is of; None for any other object."""
    parts = key.split("/")
    return parts[3] if len(parts) == 4 and parts[2] in ("blobs", "incoming") else None


def past(key: str) -> str:
    """What comes after all keys in the folder of an organization that a key is in."""
    # The character after the slash: no key of another folder lies between.
    return "/".join(key.split("/")[:3]) + "0"


def incoming_key(organization: str, upload: str) -> str:
    """Where a presigned upload in one piece lies until it is verified.

    Its URL can be used again as long as it is good, so the bytes do not stay here.
    """
    return f"orgs/{organization}/incoming/{upload}"


def presigned_grace(expire: float) -> float:
    """Seconds that a presigned upload may be completed after its URLs have expired."""
    return expire / 24


def part_sizes(total: int, part_bytes: int | None) -> list[int]:
    """Bytes of each part of a presigned upload, in order; of one piece when it has no parts."""
    if part_bytes is None:
        return [total]
    whole, rest = divmod(total, part_bytes)
    return [part_bytes] * whole + ([rest] if rest else [])


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


def clean_name(filename: str) -> str:
    """A file's own name: without folders and control characters, 120 characters at most."""
    name = unicodedata.normalize("NFC", filename.replace("\\", "/").rpartition("/")[2])
    name = "".join(each for each in name if unicodedata.category(each)[0] != "C").strip()
    stem, dot, extension = name.rpartition(".")
    if dot and len(name) > 120 and len(extension) <= 10:
        name = stem[: 119 - len(extension)] + dot + extension
    return name[:120] or "untitled"
