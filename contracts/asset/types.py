"""Field types of asset."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from contracts.types import Tag

AssetKind = Literal["image", "video", "audio", "font", "document", "archive", "other"]
AssetStatus = Literal["processing", "ready", "failed"]


VersionNumber = Annotated[int, Field(ge=1, le=999_999)]
"""Counts the versions of an asset from 1; none is given twice."""

UserKind = Literal["brand_kit"]
"""What may use an asset."""


def _once_each(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))


Tags = Annotated[tuple[Tag, ...], AfterValidator(_once_each), Field(max_length=50)]
