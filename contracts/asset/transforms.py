"""How a picture is to be transformed: said by a client, signed in a URL, carried out by a worker."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.base import Contract, View
from contracts.types import Instant

TransformMode = Literal["fit", "fill", "crop"]
TransformGravity = Literal["attention", "centre", "top", "right", "bottom", "left"]
TransformFormat = Literal["auto", "avif", "webp", "jpeg", "png"]
MadeFormat = Literal["avif", "webp", "jpeg", "png", "still"]
"""What is made: a format, or ``still``: JPEG, and PNG where something is transparent."""

Side = Annotated[int, Field(ge=1, le=16_383)]
Quality = Annotated[int, Field(ge=1, le=100)]
REGION_PATTERN = r"^[0-9]{1,6},[0-9]{1,6},[0-9]{1,6},[0-9]{1,6}$"
Region = Annotated[str, StringConstraints(pattern=REGION_PATTERN, max_length=27)]
"""``x,y,width,height`` in pixels of the upright original."""


class Transform(Contract):
    """A picture of exactly ``width`` × ``height``, made of one that is at least as large.

    ``fit``: the whole of it. ``fill``: what it has in the proportions of width × height;
    ``gravity`` says which part. ``crop``: ``region`` alone.
    """

    mode: TransformMode
    width: Side
    height: Side
    region: Region | None = None
    gravity: TransformGravity | None = None
    quality: Quality | None = None
    moving: bool = False
    """Whether it stays animated where it is, and the format can be."""

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """x, y, width, height of the region."""
        if self.region is None:
            return None
        x, y, width, height = (int(part) for part in self.region.split(","))
        return x, y, width, height


class TransformView(View):
    """Where a picture can be had that is made when it is first asked for."""

    url: str = Field(description="Signed, for whoever has it; the same for equal transforms.")
    expires_at: Instant
    width: int = Field(description="Of the picture that the URL gives.")
    height: int


class TransformMade(View):
    """A transform that is stored."""

    key: str
    format: Literal["avif", "webp", "jpeg", "png"]
