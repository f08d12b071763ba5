"""Field types of asset."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from contracts.types import Tag

AssetKind = Literal["image", "video", "audio", "font", "document", "archive", "html5", "other"]
AssetStatus = Literal["processing", "ready", "failed"]


def _once_each(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))


Tags = Annotated[tuple[Tag, ...], AfterValidator(_once_each), Field(max_length=50)]

AssetSort = Literal[
    "created_at", "-created_at", "updated_at", "-updated_at", "name", "-name", "bytes", "-bytes"
]
Orientation = Literal["landscape", "portrait", "square"]
BulkOperation = Literal["tag", "untag", "move", "delete"]
