"""One picture made of another, as a signed URL says. Runs in a rendering process only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyvips

from infra.images.geometry import Box, Wanted, cut_from, scaled_to
from infra.images.render import _eight_bit, _opaque, _Rendering
from infra.images.results import Limits
from infra.images.source import Opened, is_harmless, open_image, rejection

MOVING_PIXELS = 30_000_000
"""Pixels of an animation over all its frames; one of more is shown by its first frame."""
_LARGE = 2_000_000
"""Pixels from which an encoder takes less trouble, because somebody is waiting."""
_QUALITY = {"avif": 55, "webp": 80, "jpeg": 80}
"""Where none is asked for: about the same to look at."""


def transform(source: Path, into: Path, limits: Limits, wanted: Wanted) -> str:
    """Write the picture to the file ``into``; its format: avif, webp, jpeg or png.

    The same bytes give the same picture. Raises ImageRejected, and OSError when a file cannot
    be read or written.
    """
    # It was rendered before: what a decoder merely warns of is known by now.
    image = replace(open_image(source, limits), strict=False)
    try:
        try:
            format_, data = _made(image, into, wanted)
        except pyvips.Error as error:
            if not is_harmless(error, image.media_type):
                raise
            format_, data = _made(replace(image, strict=False), into, wanted)
    except pyvips.Error as error:
        raise rejection(error, image) from None
    into.write_bytes(data)
    return format_


def _made(image: Opened, into: Path, wanted: Wanted) -> tuple[str, bytes]:
    scaled = scaled_to((image.width, image.height), wanted)
    pixels = scaled[0] * scaled[1] * image.frames
    moves = wanted.moving and wanted.format == "webp" and pixels <= MOVING_PIXELS
    if image.animated and not moves:
        # Without the others, the decoder reads the first frame alone.
        image = replace(image, frames=1)
    picture = _eight_bit(_Rendering(image, into)._upright(*scaled)).copy_memory()
    return _encoded(_cut(picture, image, scaled, wanted), wanted, image.frames)


def _cut(
    picture: pyvips.Image, image: Opened, scaled: tuple[int, int], wanted: Wanted
) -> pyvips.Image:
    if scaled == (wanted.width, wanted.height):
        return picture
    first = picture.crop(0, 0, *scaled) if image.animated else picture
    left, top, width, height = cut_from(scaled, wanted) or _attention(first, wanted)
    if not image.animated:
        return picture.crop(left, top, width, height)
    frames = [
        picture.crop(left, number * scaled[1] + top, width, height)
        for number in range(image.frames)
    ]
    strip = pyvips.Image.arrayjoin(frames, across=1).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", height)
    return strip


def _attention(frame: pyvips.Image, wanted: Wanted) -> Box:
    """Where there is most to see: edges, skin, strong colours."""
    found = frame.smartcrop(wanted.width, wanted.height, interesting="attention")
    return -found.xoffset, -found.yoffset, wanted.width, wanted.height


def _encoded(picture: pyvips.Image, wanted: Wanted, frames: int) -> tuple[str, bytes]:
    picture = picture if frames > 1 else _opaque(picture)
    format_ = wanted.format
    if format_ == "still":
        format_ = "png" if picture.hasalpha() else "jpeg"
    if format_ == "jpeg" and picture.hasalpha():
        picture = picture.flatten(background=255)
    large = picture.width * picture.height > _LARGE
    quality = {} if format_ == "png" else {"Q": wanted.quality or _QUALITY[format_]}
    method, options = _SAVE[format_]
    options = options | quality
    if format_ in ("avif", "webp"):
        options["effort"] = options["effort"] // 2 if large or frames > 1 else options["effort"]
    data: bytes = getattr(picture, method)(keep="none", **options)
    return format_, data


_SAVE: dict[str, tuple[str, dict[str, Any]]] = {
    "avif": ("heifsave_buffer", {"compression": "av1", "effort": 2}),
    "webp": ("webpsave_buffer", {"alpha_q": 90, "effort": 4}),
    "jpeg": ("jpegsave_buffer", {"optimize_coding": True, "interlace": True}),
    "png": ("pngsave_buffer", {"compression": 7}),
}
