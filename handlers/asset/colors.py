"""Colours as the eye tells them apart: CIE L*a*b* (D65), in which nearness is distance."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

CELL = 25
"""Units a side of the cells that the index has."""
FARTHEST = 50
"""Distance up to which may be searched: 5 cells a side at most."""

Lab = tuple[float, float, float]


def lab_of(color: str) -> Lab | None:
    """Lightness 0 to 100, a and b about -128 to 127; None for what is not ``#rrggbb``."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", color):
        return None
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    x = _root((0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047)
    y = _root(0.2126729 * red + 0.7151522 * green + 0.0721750 * blue)
    z = _root((0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883)
    return round(116 * y - 16, 2), round(500 * (x - y), 2), round(200 * (y - z), 2)


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _root(value: float) -> float:
    return math.cbrt(value) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116


def cell_of(lab: Lab) -> int:
    """The number of the cell a colour is in."""
    return _number(*(_step(value) for value in lab))


def near(lab: Lab, within: float) -> dict[str, Any]:
    """What is not farther than ``within``, as a query: some cells, then the distance itself."""
    sides = [range(_step(value - within), _step(value + within) + 1) for value in lab]
    squares = [
        {"$pow": [{"$subtract": [{"$arrayElemAt": ["$lab", number]}, value]}, 2]}
        for number, value in enumerate(lab)
    ]
    return {
        "color_cell": {"$in": [_number(*each) for each in itertools.product(*sides)]},
        "$expr": {"$lte": [{"$add": squares}, within**2]},
    }


def _step(value: float) -> int:
    return math.floor((value + 200) / CELL)


def _number(lightness: int, a: int, b: int) -> int:
    return (lightness * 32 + a) * 32 + b
