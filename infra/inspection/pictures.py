"""Sizes of pictures that are kept but not drawn, from their headers."""

from __future__ import annotations

import struct
from pathlib import Path

from infra.inspection.results import Facts

_HEAD_BYTES = 64 * 1024
_LARGEST = 1_000_000


def inspect_picture(path: Path) -> Facts:
    """Of BMP, ICO (its largest) and PSD; nothing of others. Raises struct.error when cut off."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    width = height = 0
    if head.startswith(b"BM"):
        if head[14] == 12:
            width, height = struct.unpack_from("<2H", head, 18)
        else:
            width, height = struct.unpack_from("<2i", head, 18)
            height = abs(height)  # negative where the rows come from the top
    elif head.startswith(b"\x00\x00\x01\x00"):
        (count,) = struct.unpack_from("<H", head, 4)
        sizes = [struct.unpack_from("<2B", head, 6 + 16 * number) for number in range(count)]
        # A nought stands for 256.
        width, height = max((each[0] or 256, each[1] or 256) for each in sizes)
    elif head.startswith(b"8BPS"):
        height, width = struct.unpack_from(">2L", head, 14)
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        return Facts()
    return Facts(width=width, height=height)
