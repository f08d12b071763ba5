"""What comes out of rendering an image, and how it crosses from the rendering process."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Limits:
    """Of one image. ``max_pixels`` is width × height of one frame."""

    max_pixels: int
    max_side: int
    max_frames: int


@dataclass(frozen=True)
class Rendition:
    """One file that was made; ``name`` is its nominal width and format, such as 320.webp."""

    name: str
    width: int
    height: int
    media_type: str
    path: Path
    bytes: int


@dataclass(frozen=True)
class Rendered:
    """``width`` and ``height`` are of one upright frame; ``placeholder`` is a data: URI of
    less than 1 kB; ``dominant_color`` is ``#rrggbb``."""

    media_type: str
    width: int
    height: int
    frames: int
    renditions: list[Rendition]
    placeholder: str
    dominant_color: str


class ImageRejected(Exception):
    """The image cannot be rendered, now or later. ``code`` is for programs, ``detail`` for
    the person who uploaded it.

    Codes: asset.image_corrupt, asset.image_too_large, asset.image_unsupported,
    asset.image_timeout, asset.image_failed (it took its rendering process down, twice).
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def to_wire(rendered: Rendered) -> dict[str, Any]:
    fields = asdict(rendered)
    for rendition in fields["renditions"]:
        rendition["path"] = str(rendition["path"])
    return fields


def from_wire(fields: dict[str, Any]) -> Rendered:
    renditions = [
        Rendition(**{**rendition, "path": Path(rendition["path"])})
        for rendition in fields["renditions"]
    ]
    return Rendered(**{**fields, "renditions": renditions})
