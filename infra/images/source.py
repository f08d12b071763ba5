"""Opening an image: which decoder, how large, and what went wrong in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyvips

from infra.images.gif import require_whole_gif
from infra.images.results import ImageRejected, Limits
from infra.images.svg import MAX_BYTES, safe_svg
from infra.media import HEAD_BYTES, sniff

ANIMATION_FACTOR = 4
"""An animation may have this many times the pixels of a still image, over all frames."""

# Named one by one, so that no decoder which happens to be compiled in is ever reached.
_LOADERS = {
    "image/jpeg": ("JPEG", "jpegload_source"),
    "image/png": ("PNG", "pngload_source"),
    "image/webp": ("WebP", "webpload_source"),
    "image/gif": ("GIF", "gifload_source"),
    "image/tiff": ("TIFF", "tiffload_source"),
    "image/avif": ("AVIF", "heifload_source"),
    "image/heic": ("HEIC", "heifload_source"),
    "image/svg+xml": ("SVG", "svgload_buffer"),
    "image/svg+xml-compressed": ("SVG", "svgload_buffer"),
}
_CUT_OFF = (
    "premature end",
    "truncat",
    "unexpected end",
    "end of file",
    "eof",
    "end of stream",
    "not enough data",
    "read error",
    "short read",
)
_NO_MEMORY = ("out of memory", "unable to allocate", "memory allocation", "cannot allocate")
_NO_CODEC = (
    "unsupported codec",
    "unsupported feature",
    "support for",
    "no decoding plugin",
    "not built with",
    "unsupported",
    "not configured",
    "bad labq format",
)
_TELL_DAMAGE = {"image/jpeg", "image/gif"}
"""Decoders that only warn of damaged data, and put grey or black in its place."""
_HARMLESS = (
    "extraneous bytes before marker",
    "invalid sos parameters",
    "unknown jfif revision",
    "unknown adobe color transform",
    "inconsistent progression",
)
"""What cameras and programs get wrong in JPEG files that are whole."""


@dataclass(frozen=True)
class Opened:
    """An image whose header was read and is within the limits. Sizes are of one upright frame."""

    path: Path
    media_type: str
    width: int
    height: int
    frames: int
    header: pyvips.Image
    drawing: bytes | None = None
    strict: bool = True
    """Whether a decoder's warnings are errors, where they tell that data is damaged."""

    @property
    def format(self) -> str:
        return _LOADERS[self.media_type][0]

    @property
    def animated(self) -> bool:
        return self.frames > 1

    def load(self, **options: Any) -> pyvips.Image:
        """The pixels, decoded as they are asked for, strictly."""
        if not self.strict:
            options["fail_on"] = "error"
        return _load(self.media_type, self.path, self.drawing, self.animated, **options)

    def scaled(self, width: int, height: int, **options: Any) -> pyvips.Image:
        """All frames at ``width`` × ``height``, upright, decoded no larger than is needed."""
        options |= {"height": height, "size": "force"}
        pixels = self.load(**self._shrunk(width))
        if self._is_measured:
            pixels = _ranged(pixels, self.load().stats())
        return pixels.thumbnail_image(width, **options)

    @property
    def _is_measured(self) -> bool:
        """Whether its values are numbers of any range rather than shades."""
        return self.header.format not in {"uchar", "ushort"} and self.header.interpretation in {
            "b-w",
            "multiband",
            "srgb",
        }

    def _shrunk(self, width: int) -> dict[str, float]:
        """How the decoder itself is to reduce (or draw) the image.

        Asked of the decoder directly: libvips's thumbnail_source drops fail_on, and so takes
        a truncated JPEG for a whole one.
        """
        shrink = self.width / width
        if self.drawing is not None:
            return {"scale": 1 / shrink}
        if self.media_type == "image/jpeg":
            # At least half as much again is left for a better filter than the decoder's.
            return {"shrink": max(by for by in (1, 2, 4, 8) if by == 1 or by * 1.5 <= shrink)}
        if self.media_type == "image/webp" and not self.animated and shrink > 2:
            return {"scale": 2 / shrink}
        return {}


def open_image(path: Path, limits: Limits) -> Opened:
    """Raises ImageRejected, and OSError when the file itself cannot be read."""
    with path.open("rb") as file:
        media_type = sniff(file.read(HEAD_BYTES)).media_type
        if media_type not in _LOADERS:
            raise ImageRejected(
                "asset.image_unsupported", "The file is not an image in a format that is rendered."
            )
        file.seek(0)
        drawn = media_type.startswith("image/svg+xml")
        drawing = safe_svg(file.read(MAX_BYTES + 1)) if drawn else None
        if media_type == "image/gif":
            require_whole_gif(file)
    animation = media_type in {"image/gif", "image/webp"}
    try:
        header = _load(media_type, path, drawing, animation)
    except pyvips.Error as error:
        raise _rejection(error, media_type, path) from None
    frames = _number(header, "n-pages", 1) if animation else 1
    height = _number(header, "page-height", header.height) if frames > 1 else header.height
    _check(header.width, height, frames, limits)
    turned = _number(header, "orientation", 1) >= 5
    width, height = (height, header.width) if turned else (header.width, height)
    return Opened(path, media_type, width, height, frames, header, drawing)


def is_harmless(error: pyvips.Error, media_type: str) -> bool:
    """Whether a decoder has only warned of what leaves the picture whole."""
    said = f"{error.message}\n{error.detail}".lower()
    return media_type == "image/jpeg" and any(hint in said for hint in _HARMLESS)


def rejection(error: pyvips.Error, image: Opened) -> ImageRejected:
    """What libvips said, in words for the person who uploaded the image."""
    return _rejection(error, image.media_type, image.path)


def _rejection(error: pyvips.Error, media_type: str, path: Path) -> ImageRejected:
    said = f"{error.message}\n{error.detail}".lower()
    name = _LOADERS[media_type][0]
    if any(hint in said for hint in _NO_MEMORY):
        return ImageRejected(
            "asset.image_too_large", "Decoding the image takes more memory than is allowed."
        )
    if any(hint in said for hint in _CUT_OFF) and not (media_type == "image/png" and _ends(path)):
        return ImageRejected(
            "asset.image_corrupt", f"The {name} file is cut off: part of the picture is missing."
        )
    if any(hint in said for hint in _NO_CODEC):
        detail = f"The {name} file uses a variant that cannot be decoded."
        if media_type == "image/heic":
            detail = "HEIC pictures compressed with HEVC cannot be decoded; JPEG and AVIF can."
        return ImageRejected("asset.image_unsupported", detail)
    return ImageRejected(
        "asset.image_corrupt", f"The {name} file is damaged and cannot be decoded."
    )


def _load(
    media_type: str, path: Path, drawing: bytes | None, animation: bool, **options: Any
) -> pyvips.Image:
    loader = getattr(pyvips.Image, _LOADERS[media_type][1])
    strict = "warning" if media_type in _TELL_DAMAGE else "error"
    options = {"access": "sequential", "fail_on": strict} | options
    if animation:
        options["n"] = -1
    if drawing is not None:
        return loader(drawing, **options)
    return loader(pyvips.Source.new_from_file(str(path)), **options)


def _ranged(image: pyvips.Image, stats: pyvips.Image) -> pyvips.Image:
    """Values brought into 0 to 255; those that may be shades as they are keep their place."""
    low, high = stats(0, 0)[0], stats(1, 0)[0]
    if low >= 0 and high <= 1:
        return image * 255
    if low >= 0 and high <= 255:
        return image
    return (image - low) * (255 / max(high - low, 1e-9))


def _ends(png: Path) -> bool:
    """Whether the last part of a PNG is there: then it is not cut off, whatever it lacks."""
    with png.open("rb") as file:
        file.seek(max(0, png.stat().st_size - 64))
        return b"IEND" in file.read()


def _check(width: int, height: int, frames: int, limits: Limits) -> None:
    if max(width, height) > limits.max_side:
        reason = f"a side may have {limits.max_side:,} pixels"
    elif width * height > limits.max_pixels:
        reason = f"an image may have {limits.max_pixels:,} pixels"
    elif frames > limits.max_frames:
        raise ImageRejected(
            "asset.image_too_large",
            f"The animation has {frames:,} frames; it may have {limits.max_frames:,}.",
        )
    elif width * height * frames > limits.max_pixels * ANIMATION_FACTOR:
        reason = (
            f"over its {frames:,} frames it may have "
            f"{limits.max_pixels * ANIMATION_FACTOR:,} pixels"
        )
    else:
        return
    raise ImageRejected(
        "asset.image_too_large", f"The image is {width:,} × {height:,} pixels; {reason}."
    )


def _number(image: pyvips.Image, field: str, default: int) -> int:
    return int(image.get(field)) if image.get_typeof(field) else default
