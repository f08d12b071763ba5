"""Images made for the tests, and how to look at what became of them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pyvips

RED, GREEN, BLUE, WHITE = [220, 30, 30], [30, 180, 60], [40, 60, 200], [250, 250, 250]


def plain(width: int, height: int, colour: list[int]) -> pyvips.Image:
    image = pyvips.Image.black(width, height, bands=len(colour)) + colour
    return image.cast("uchar").copy(interpretation="srgb")


def quarters(width: int, height: int) -> pyvips.Image:
    """Red, green over blue, white: no turn and no mirror image of it is itself."""
    w, h = width // 2, height // 2
    tiles = [plain(w, h, colour) for colour in (RED, GREEN, BLUE, WHITE)]
    return pyvips.Image.arrayjoin(tiles, across=2)


def busy(width: int, height: int, bands: int = 3) -> pyvips.Image:
    """Noise: it compresses badly, and takes its time."""
    layers = [pyvips.Image.gaussnoise(width, height, seed=n, sigma=60) for n in range(bands)]
    image = layers[0].bandjoin(layers[1:]) if bands > 1 else layers[0]
    return image.cast("uchar").copy(interpretation="srgb" if bands > 1 else "b-w")


def animation(
    path: Path, frames: int, width: int, height: int, delay: list[int], loop: int
) -> Path:
    """Each frame has its own grey."""
    shades = [plain(width, height, [n * 200 // frames] * 3) for n in range(frames)]
    image = pyvips.Image.arrayjoin(shades, across=1).copy()
    image.set_type(pyvips.GValue.gint_type, "page-height", height)
    image.set_type(pyvips.GValue.gint_type, "loop", loop)
    image.set_type(pyvips.GValue.array_int_type, "delay", delay)
    image.write_to_file(str(path))
    return path


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels to show for it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(b"\0"))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pixel(path: Path, x: float, y: float) -> list[float]:
    """The colour at a share of width and height."""
    image = pyvips.Image.new_from_file(str(path))
    found: list[float] = image.getpoint(int(x * image.width), int(y * image.height))
    return found


def near(found: list[float], wanted: list[int], within: int = 12) -> bool:
    return len(found) == len(wanted) and all(
        abs(a - b) <= within for a, b in zip(found, wanted, strict=True)
    )
