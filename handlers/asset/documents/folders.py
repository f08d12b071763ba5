"""Folders of the library."""

from __future__ import annotations

from pydantic import computed_field
from pymongo import ASCENDING, IndexModel

from bus.documents import Aggregate
from handlers.asset.words import folder_key


class Folder(Aggregate):
    """A folder of a library. Whoever puts something into it holds it, and all it lies in."""

    organization_id: str
    name: str
    parent_id: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def key(self) -> str:
        return folder_key(self.name)

    class Settings:
        name = "folders"
        indexes = [
            IndexModel(
                [("organization_id", ASCENDING), ("parent_id", ASCENDING), ("key", ASCENDING)],
                unique=True,
                name="name",
            ),
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="list"),
        ]
