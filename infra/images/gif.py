"""Whether a GIF is all there.

libvips takes an animation that was cut off for a shorter one, so the blocks are walked here.
"""

from __future__ import annotations

from typing import BinaryIO

from infra.images.results import ImageRejected

_EXTENSION, _IMAGE = 0x21, 0x2C


def require_whole_gif(file: BinaryIO) -> None:
    """Raises ImageRejected when the file ends within a block. Only the trailing byte, which
    some programs forget, may be missing."""
    try:
        header = _exactly(file, 13)
        _skip_colours(file, header[10])
        while kind := file.read(1):
            if kind[0] == _IMAGE:
                _skip_colours(file, _exactly(file, 9)[8])
                _exactly(file, 1)
            elif kind[0] == _EXTENSION:
                _exactly(file, 1)
            else:
                # The trailer, or nonsense that the decoder judges.
                return
            while size := _exactly(file, 1)[0]:
                _exactly(file, size)
    except EOFError:
        raise ImageRejected(
            "asset.image_corrupt", "The GIF file is cut off: part of the picture is missing."
        ) from None


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        _exactly(file, 3 << ((flags & 7) + 1))


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data
