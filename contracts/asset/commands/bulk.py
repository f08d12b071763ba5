"""Commands about many assets at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from contracts.asset.types import BulkOperation, Tags
from contracts.base import Command, FromRequest
from contracts.types import Id, Tag


def _once_each(ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))


class ChangeAssets(Command):
    """Tag, untag, move or delete up to 500 assets; what became of each is told."""

    wire = "asset.assets.change"

    ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=500), AfterValidator(_once_each)]
    operation: BulkOperation
    tags: Tags = Field((), description="To give or to take; only of tag and untag.")
    folder_id: Id | None = Field(None, description="Where to move them; null: to no folder.")
    project_id: Id | None = Field(None, description="Where to move them; null: to no project.")
    barred: Annotated[tuple[Id, ...], FromRequest("barred")] = Field(
        (), description="Those that the actor may not change, as the gateway has found."
    )


class RenameTag(Command):
    """Replace a tag by another on every asset that has it; where both are, they become one."""

    wire = "asset.tag.rename"

    tag: Tag
    to: Tag


class RetagAssets(Command):
    """Replace a tag on some assets of an organization, and then on the next."""

    wire = "asset.tag.replace"
    lane = "slow"

    tag: Tag
    to: Tag
    after: Annotated[str, Field(max_length=100, description="The asset behind which to go on.")] = (
        ""
    )
