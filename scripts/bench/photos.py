"""``python -m scripts.bench.photos folder count``: pictures that cost what photos cost.

Clouds over several scales, edges, and the grain of a sensor, as a camera's JPEG files of 12 to
24 megapixels. The same every time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyvips

SHAPES = ((4000, 3000), (4608, 3456), (5472, 3648), (6000, 4000), (3000, 4000))
"""Width and height of phones' and cameras' photos."""

_COARSE = 4
"""What is large is drawn at a fraction of the size, and enlarged."""

_LAID_ON_ITS_SIDE = 6
"""An EXIF orientation, that of a phone held upright."""


def make_photos(folder: Path, count: int) -> list[Path]:
    """The photos in ``folder``, those that are missing made."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        path = folder / f"photo-{number:02}.jpg"
        if not path.exists():
            beside = path.with_suffix(".part")
            beside.write_bytes(_photo(number))
            beside.rename(path)
        made.append(path)
    return made


def _photo(seed: int) -> bytes:
    width, height = SHAPES[seed % len(SHAPES)]
    colours = [_waves(width, height, seed * 3 + band) for band in range(3)]
    shapes = pyvips.Image.worley(width // _COARSE, height // _COARSE, cell_size=160, seed=seed)
    shade = (shapes % 60 < 30) * (0.45 / 255) + 0.55
    picture = _enlarged(colours[0].bandjoin(colours[1:]) * shade, width, height)
    detail = pyvips.Image.perlin(width, height, cell_size=12, seed=seed) * 14
    grain = pyvips.Image.gaussnoise(width, height, mean=0, sigma=5, seed=seed)
    image = (picture + detail + grain).cast("uchar").copy(interpretation="srgb")
    if seed % 4 == 3:
        image.set_type(pyvips.GValue.gint_type, "orientation", _LAID_ON_ITS_SIDE)
    data: bytes = image.jpegsave_buffer(Q=92)
    return data


def _waves(width: int, height: int, seed: int) -> pyvips.Image:
    """One colour, coarsely: large waves are strong, small ones weak, as in nature."""
    width, height = width // _COARSE, height // _COARSE
    total = pyvips.Image.black(width, height) + 128
    for octave in range(4):
        waves = pyvips.Image.perlin(width, height, cell_size=320 >> octave, seed=seed * 7 + octave)
        total += waves * (70 / 1.8**octave)
    return total


def _enlarged(image: pyvips.Image, width: int, height: int) -> pyvips.Image:
    grown = image.copy_memory().resize(width / image.width, vscale=height / image.height)
    return grown.crop(0, 0, width, height)


if __name__ == "__main__":
    make_photos(Path(sys.argv[1]), int(sys.argv[2]))
