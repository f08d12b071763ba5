"""Which picture a client asks for: pure decisions, and equal ones come out equal."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.asset.errors import TransformInvalid
from contracts.asset.transforms import Transform, TransformGravity, TransformMode
from contracts.errors import FieldError
from infra.images.geometry import Size, filled, fitted, within


@dataclass(frozen=True, slots=True)
class Asked:
    """As a client says it; ``region`` is ``x,y,width,height`` in pixels of the original."""

    mode: TransformMode
    width: int | None = None
    height: int | None = None
    region: str | None = None
    gravity: TransformGravity | None = None


def canonical(
    source: Size, asked: Asked, *, quality: int | None, moving: bool, side: int
) -> Transform:
    """The picture that is meant, of an original of this size, in one way of saying it.

    However it was asked for, its size is the one it will have, and what makes no difference is
    left out. Raises TransformInvalid.
    """
    for name in ("width", "height"):
        if (getattr(asked, name) or 0) > side:
            raise _invalid(name, "less_than_equal", f"at most {side} pixels")
    if asked.region is not None and asked.mode != "crop":
        raise _invalid("region", "not_of_mode", "only crop takes a region")
    if asked.gravity is not None and asked.mode != "fill":
        raise _invalid("gravity", "not_of_mode", "only fill takes a gravity")
    mode, gravity, region = asked.mode, asked.gravity, None
    if mode == "fill":
        size = _filled(source, asked)
        if size == fitted(source, *size, side=side):
            mode, gravity = "fit", None  # there is nothing to cut away
        else:
            gravity = gravity or "attention"
    elif mode == "crop":
        region = _region(source, asked)
        size = fitted((region[2], region[3]), asked.width, asked.height, side=side)
        if region == (0, 0, *source):
            mode, region = "fit", None
    else:
        size = fitted(source, asked.width, asked.height, side=side)
    return Transform(
        mode=mode,
        width=size[0],
        height=size[1],
        region=None if region is None else ",".join(map(str, region)),
        gravity=gravity,
        quality=quality,
        moving=moving,
    )


def _filled(source: Size, asked: Asked) -> Size:
    for name in ("width", "height"):
        if getattr(asked, name) is None:
            raise _invalid(name, "missing", "fill needs a width and a height")
    assert asked.width is not None
    assert asked.height is not None
    return filled(source, asked.width, asked.height)


def _region(source: Size, asked: Asked) -> tuple[int, int, int, int]:
    if asked.region is None:
        raise _invalid("region", "missing", "crop needs a region: x,y,width,height")
    x, y, width, height = (int(part) for part in asked.region.split(","))
    if not within(source, (x, y, width, height)):
        raise _invalid(
            "region", "outside", f"must lie within the {source[0]} × {source[1]} of the original"
        )
    return x, y, width, height


def _invalid(name: str, code: str, detail: str) -> TransformInvalid:
    return TransformInvalid(
        f"{name}: {detail}.", errors=[FieldError(pointer=name, code=code, detail=detail)]
    )
