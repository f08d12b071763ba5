"""Renditions of one image, with libvips. Runs in a rendering process only."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyvips

from infra.images.results import Limits, Rendered, Rendition
from infra.images.source import Opened, is_harmless, open_image, rejection

SIZES = (320, 800, 1600)
_WEBP_SIDE = 16_383
_PLACEHOLDER_CHARS = 1000
_ROLL_BYTES = 256 * 1024 * 1024
"""Bytes of all frames of an animation up to which it is decoded once, into memory."""

Made = Callable[[int, int], None]
"""Told how many are made, and of how many: after decoding, and after each."""

_SAVE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "webp": ("webpsave_buffer", "image/webp", {"Q": 80, "alpha_q": 90, "effort": 4}),
    "jpeg": (
        "jpegsave_buffer",
        "image/jpeg",
        {"Q": 82, "optimize_coding": True, "interlace": False},
    ),
    "png": ("pngsave_buffer", "image/png", {"compression": 7}),
    "gif": ("gifsave_buffer", "image/gif", {"effort": 3, "keep_duplicate_frames": True}),
}


def save_options(format_: str) -> dict[str, Any]:
    """What libvips is told when a still picture is saved as webp, jpeg, png or gif."""
    return dict(_SAVE[format_][2])


def render(
    source: Path, into: Path, limits: Limits, made: Made = lambda done, total: None
) -> Rendered:
    """Raises ImageRejected, and OSError when a file cannot be read or written."""
    image = open_image(source, limits)
    try:
        try:
            return _Rendering(image, into, made).run()
        except pyvips.Error as error:
            if not is_harmless(error, image.media_type):
                raise
            # Nothing was saved yet: a still image is decoded as a whole before.
            return _Rendering(replace(image, strict=False), into, made).run()
    except pyvips.Error as error:
        raise rejection(error, image) from None


class _Rendering:
    def __init__(self, image: Opened, into: Path, made: Made = lambda done, total: None) -> None:
        self._image = image
        self._into = into
        self._told = made
        self._made: list[Rendition] = []
        self._total = 0

    def run(self) -> Rendered:
        image = self._image
        sizes = _sizes(image.width, image.height)
        frame = self._animation(sizes) if image.animated else self._still(sizes)
        if image.drawing is not None:
            self._keep_drawing(image.drawing)
        return Rendered(
            media_type=image.media_type,
            width=image.width,
            height=image.height,
            frames=image.frames,
            renditions=self._made,
            placeholder=_placeholder(frame),
            dominant_color=_dominant(frame),
        )

    def _still(self, sizes: list[tuple[int, int, int]]) -> pyvips.Image:
        """Decode once, at the largest size, and make the smaller ones from the larger."""
        _, width, height = sizes[-1]
        current = _opaque(_eight_bit(self._upright(width, height)).copy_memory())
        formats = (self._still_family(current), "webp")
        self._total = len(sizes) * len(formats)
        self._told(0, self._total)
        for nominal, width, height in reversed(sizes):
            if (current.width, current.height) != (width, height):
                current = _resized(current, width, height)
            for format_ in formats:
                self._save(current, format_, nominal, height)
        self._made.reverse()
        return current

    def _animation(self, sizes: list[tuple[int, int, int]]) -> pyvips.Image:
        """Decode once when all frames fit in memory, else once for each file."""
        image = self._image
        formats = ("gif", "webp") if image.media_type == "image/gif" else ("webp",)
        self._total = len(sizes) * len(formats)
        roll = None
        if image.width * image.height * image.frames * 4 <= _ROLL_BYTES:
            roll = _eight_bit(self._upright(image.width, image.height)).copy_memory()
        self._told(0, self._total)
        for nominal, width, height in reversed(sizes):
            roll = roll and _each_resized(roll, image.frames, width, height)
            for format_ in formats:
                frames = roll or _eight_bit(self._upright(width, height))
                self._save(frames, format_, nominal, height)
        self._made.reverse()
        _, width, height = sizes[0]
        frames = roll or _eight_bit(self._upright(width, height))
        return frames.crop(0, 0, width, height).copy_memory()

    def _upright(self, width: int, height: int) -> pyvips.Image:
        options: dict[str, Any] = {"output_profile": "srgb", "intent": "perceptual"}
        if self._image.header.interpretation == "cmyk":
            # For files that do not say which CMYK they mean.
            options["input_profile"] = "cmyk"
        if (
            self._image.header.get_typeof("icc-profile-data") == 0
            and "input_profile" not in options
        ):
            del options["output_profile"], options["intent"]
        return self._image.scaled(width, height, **options)

    def _still_family(self, image: pyvips.Image) -> str:
        if self._image.drawing is not None or self._image.media_type in {"image/png", "image/gif"}:
            return "png"
        return "png" if image.hasalpha() else "jpeg"

    def _keep_drawing(self, drawing: bytes) -> None:
        """What was drawn, and may be shown in place of the original."""
        path = self._into / "safe.svg"
        path.write_bytes(drawing)
        width, height = self._image.width, self._image.height
        self._made.append(Rendition(path.name, width, height, "image/svg+xml", path, len(drawing)))

    def _save(self, image: pyvips.Image, format_: str, nominal: int, height: int) -> None:
        method, media_type, options = _SAVE[format_]
        if self._image.animated and format_ == "webp":
            # Half the time, and hundreds of frames to make.
            options = options | {"effort": 2}
        data: bytes = getattr(image, method)(keep="none", **options)
        name = f"{nominal}.{format_}"
        path = self._into / name
        path.write_bytes(data)
        self._made.append(Rendition(name, image.width, height, media_type, path, len(data)))
        self._told(len(self._made), self._total)


def _sizes(width: int, height: int) -> list[tuple[int, int, int]]:
    """(nominal, width, height), rising; never larger than the source, none twice."""
    sizes: list[tuple[int, int, int]] = []
    for nominal in SIZES:
        # WebP ends at 16,383 pixels a side, which only a very tall image reaches.
        scale = min(1.0, nominal / width, _WEBP_SIDE / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if not sizes or size != sizes[-1][1:]:
            sizes.append((nominal, *size))
    return sizes


def _eight_bit(image: pyvips.Image) -> pyvips.Image:
    grey = image.interpretation in {"b-w", "grey16"}
    image = image.colourspace("b-w" if grey else "srgb")
    return image if image.format == "uchar" else image.cast("uchar")


def _opaque(image: pyvips.Image) -> pyvips.Image:
    """Without its alpha channel when that hides nothing."""
    if image.hasalpha() and image[image.bands - 1].min() == 255:
        return image.extract_band(0, n=image.bands - 1)
    return image


def _resized(image: pyvips.Image, width: int, height: int) -> pyvips.Image:
    """Smaller or equal, of pixels that are upright and sRGB already."""
    across, down = width / image.width, height / image.height
    if not image.hasalpha():
        return image.resize(across, vscale=down).copy_memory()
    # Premultiplied in floats: thumbnail_image does it in bytes, and darkens the picture a
    # little at every step.
    small = image.premultiply().resize(across, vscale=down).unpremultiply()
    return small.rint().cast("uchar").copy_memory()


def _each_resized(roll: pyvips.Image, frames: int, width: int, height: int) -> pyvips.Image:
    """All frames, each by itself: none shows in the edges of the next."""
    tall = roll.height // frames
    if (roll.width, tall) == (width, height):
        return roll
    small = [
        _resized(roll.crop(0, number * tall, roll.width, tall), width, height)
        for number in range(frames)
    ]
    joined = pyvips.Image.arrayjoin(small, across=1).copy()
    joined.set_type(pyvips.GValue.gint_type, "page-height", height)
    return joined.copy_memory()


def _placeholder(frame: pyvips.Image) -> str:
    """A blurred miniature for the time until a rendition is loaded."""
    for side in (24, 16, 8, 4):
        scale = min(1.0, side / max(frame.width, frame.height))
        width, height = (max(1, round(length * scale)) for length in (frame.width, frame.height))
        data = _resized(frame, width, height).webpsave_buffer(
            Q=40, alpha_q=40, effort=6, keep="none"
        )
        uri = "data:image/webp;base64," + base64.b64encode(data).decode()
        if len(uri) < _PLACEHOLDER_CHARS:
            return uri
    raise AssertionError("a WebP of 4 × 4 pixels is under 1 kB")


def _dominant(frame: pyvips.Image) -> str:
    """The mean of the most frequent kind of colour among what can be seen."""
    small = _resized(frame, min(frame.width, 40), min(frame.height, 40)).colourspace("srgb")
    data, bands = bytes(small.write_to_memory()), small.bands
    seen: Counter[tuple[int, int, int]] = Counter()
    for at in range(0, len(data), bands):
        if bands == 3 or data[at + 3] >= 128:
            seen[data[at], data[at + 1], data[at + 2]] += 1
    if not seen:
        return "#ffffff"
    kinds: Counter[tuple[int, int, int]] = Counter()
    for (red, green, blue), times in seen.items():
        kinds[red >> 5, green >> 5, blue >> 5] += times
    kind = max(kinds, key=lambda key: (kinds[key], key))
    members = [(c, n) for c, n in seen.items() if (c[0] >> 5, c[1] >> 5, c[2] >> 5) == kind]
    count = sum(times for _, times in members)
    means = (round(sum(colour[i] * times for colour, times in members) / count) for i in range(3))
    return "#" + "".join(f"{mean:02x}" for mean in means)
