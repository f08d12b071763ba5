"""Field types of asset."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from contracts.types import Tag

AssetKind = Literal["image", "video", "audio", "font", "document", "archive", "html5", "other"]
AssetStatus = Literal["processing", "ready", "failed"]


LAST_VERSION = 999_999
"""Ids of versions have six digits for the number."""

MEDIA_TYPE_PATTERN = r"^[A-Za-z0-9!#$&^_.+-]+/(\*|[A-Za-z0-9!#$&^_.+-]+)$"
NEAR_COLOR_PATTERN = "^#?[0-9a-fA-F]{6}$"
"""A media type or a family of them, and a colour, as the library is asked for them."""

_DIGITS = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


def _in_digits(value: object) -> object:
    """A number that stands in an address is a text."""
    if not isinstance(value, str):
        return value
    if not _DIGITS.fullmatch(value):
        raise ValueError("must be a number in digits")
    return int(value)


VersionNumber = Annotated[int, Field(ge=1, le=LAST_VERSION), BeforeValidator(_in_digits)]
"""Counts the versions of an asset from 1; none is given twice."""

UserKind = Literal["brand_kit"]
"""What may use an asset."""


def _once_each(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))


Tags = Annotated[tuple[Tag, ...], AfterValidator(_once_each), Field(max_length=50)]

AssetSort = Literal[
    "created_at", "-created_at", "updated_at", "-updated_at", "name", "-name", "bytes", "-bytes"
]
Orientation = Literal["landscape", "portrait", "square"]
BulkOperation = Literal["tag", "untag", "move", "delete"]
