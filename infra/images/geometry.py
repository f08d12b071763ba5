"""How large a transformed picture is, and what of the original it shows. Pure: no image is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Size = tuple[int, int]
Box = tuple[int, int, int, int]
"""Left, top, width, height."""
Mode = Literal["fit", "fill", "crop"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture to be made: exactly ``width`` × ``height``, of an upright original.

    ``format`` is avif, webp, jpeg, png, or still (JPEG; PNG where something is transparent);
    ``region`` is what ``crop`` cuts out, in pixels of the original; ``moving`` keeps it animated
    where the format can be.
    """

    mode: Mode
    width: int
    height: int
    format: str
    region: Box | None = None
    gravity: str | None = None
    quality: int | None = None
    moving: bool = False


def fitted(source: Size, width: int | None, height: int | None, *, side: int) -> Size:
    """Within the box in the proportions of ``source``; never larger than it, no side over ``side``."""
    scale = min(
        1.0,
        side / max(source),
        width / source[0] if width is not None else 1.0,
        height / source[1] if height is not None else 1.0,
    )
    return max(1, round(source[0] * scale)), max(1, round(source[1] * scale))


def filled(source: Size, width: int, height: int) -> Size:
    """In the proportions of the box; smaller than it where the original does not cover it."""
    over = max(1.0, width / source[0], height / source[1])
    return max(1, round(width / over)), max(1, round(height / over))


def within(source: Size, box: Box) -> bool:
    """Whether a region has pixels, and all of them in the original."""
    left, top, width, height = box
    return min(width, height) >= 1 and left + width <= source[0] and top + height <= source[1]


def scaled_to(source: Size, wanted: Wanted) -> Size:
    """To which size the whole original is brought before anything is cut away."""
    width, height = source
    if wanted.mode == "fill":
        scale = max(wanted.width / width, wanted.height / height)
        return max(wanted.width, round(width * scale)), max(wanted.height, round(height * scale))
    if wanted.mode == "crop" and wanted.region is not None:
        across, down = wanted.width / wanted.region[2], wanted.height / wanted.region[3]
        return max(wanted.width, round(width * across)), max(wanted.height, round(height * down))
    return wanted.width, wanted.height


def cut_from(scaled: Size, wanted: Wanted) -> Box | None:
    """What is cut out of the scaled original; None where only its content can tell."""
    left, top = scaled[0] - wanted.width, scaled[1] - wanted.height
    if wanted.mode == "crop" and wanted.region is not None:
        x, y, width, height = wanted.region
        return (
            min(left, round(x * wanted.width / width)),
            min(top, round(y * wanted.height / height)),
            wanted.width,
            wanted.height,
        )
    if (left, top) != (0, 0) and wanted.gravity in (None, "attention"):
        return None
    return (
        {"left": 0, "right": left}.get(wanted.gravity or "", left // 2),
        {"top": 0, "bottom": top}.get(wanted.gravity or "", top // 2),
        wanted.width,
        wanted.height,
    )
