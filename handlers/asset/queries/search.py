"""What the library may be asked for, and how MongoDB is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from bus.paging import Keyset
from contracts.asset.errors import FilterInvalid
from contracts.asset.rights import Moment
from contracts.asset.types import (
    MEDIA_TYPE_PATTERN,
    NEAR_COLOR_PATTERN,
    AssetKind,
    AssetSort,
    AssetStatus,
    Orientation,
)
from contracts.base import Contract
from contracts.errors import FieldError
from contracts.types import Id, IdOrNone, IdOrRoot, Listed, Sha256, Tag, Time, now
from handlers.asset.colors import FARTHEST, lab_of, near
from handlers.asset.rights import RightsFilter, rights_wanted
from handlers.asset.words import beginning, label, name_key, words_sought

SORTED_BY = {"created_at": "_id", "updated_at": "updated_at", "name": "name_key", "bytes": "bytes"}
"""Sort → field. Ids are ordered by creation."""

_Size = Annotated[int | None, Field(ge=0, le=2**53)]


class AssetCursor(Keyset):
    """Where a page of the library begins and how it runs."""

    cursor: Annotated[
        str | None,
        Field(max_length=1200, min_length=1, description="next_cursor of the page before."),
    ] = None
    sort: Annotated[
        AssetSort, Field(description="A minus sign puts the newest, last or largest first.")
    ] = "created_at"


class AssetFilter(Contract):
    """Which assets: all that is given holds."""

    q: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            description="Beginnings of words of the name and the tags, whatever case and accents.",
        ),
    ] = None
    name: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            description="The whole name, whatever case and accents; or its beginning: `photo*`.",
        ),
    ] = None
    tag: Annotated[Tag | None, Field(description="Has this tag.")] = None
    tags: Annotated[
        Annotated[tuple[Tag, ...], Listed, Field(min_length=1, max_length=50)] | None,
        Field(description="Has all of these tags, separated by commas."),
    ] = None
    kind: Annotated[
        Annotated[tuple[AssetKind, ...], Listed, Field(min_length=1, max_length=20)] | None,
        Field(description="One of these kinds, separated by commas."),
    ] = None
    status: Annotated[
        Annotated[tuple[AssetStatus, ...], Listed, Field(min_length=1, max_length=3)] | None,
        Field(description="One of these, separated by commas."),
    ] = None
    media_type: Annotated[
        Annotated[
            str,
            StringConstraints(
                pattern=MEDIA_TYPE_PATTERN,
                to_lower=True,
                max_length=127,
            ),
        ]
        | None,
        Field(description="As found in the bytes: `image/png`, or `image/*`."),
    ] = None
    color: Annotated[
        Annotated[str, StringConstraints(pattern=NEAR_COLOR_PATTERN)] | None,
        Field(description="Dominant colour is near this: `#rrggbb`, the # as %23 or left out."),
    ] = None
    color_tolerance: Annotated[
        int,
        Field(
            ge=0,
            le=FARTHEST,
            description="How near: distance in CIE L*a*b*; 10 is much alike, 50 hardly.",
        ),
    ] = 25
    orientation: Annotated[
        Orientation | None, Field(description="Square is exactly as wide as high.")
    ] = None
    min_bytes: _Size = None
    max_bytes: _Size = None
    min_width: _Size = None
    max_width: _Size = None
    min_height: _Size = None
    max_height: _Size = None
    created_after: Annotated[Time | None, Field(description="At this time or later.")] = None
    created_before: Annotated[Time | None, Field(description="Before this time.")] = None
    updated_after: Annotated[Time | None, Field(description="At this time or later.")] = None
    updated_before: Annotated[Time | None, Field(description="Before this time.")] = None
    project_id: Annotated[
        IdOrNone | None, Field(description="In this project; `none`: in no project.")
    ] = None
    folder_id: Annotated[
        IdOrRoot | None,
        Field(description="Directly in this folder; `root`: in no folder."),
    ] = None
    under: Annotated[
        Id | None, Field(description="In this folder, or one that lies in it at any depth.")
    ] = None
    uploaded_by: Annotated[Id | None, Field(description="A user or an API key.")] = None
    sha256: Sha256 | None = None
    rights: Annotated[RightsFilter | None, Field(description="Where its rights stand.")] = None
    expires_before: Annotated[
        Moment | None, Field(description="Its rights expire before this time.")
    ] = None

    def query(self, folders: Sequence[str] | None) -> list[dict[str, Any]]:
        """What must hold of the stored asset; ``folders`` are those of ``under``.

        Raises FilterInvalid.
        """
        found = [*self._texts(), *self._ranges()]
        for field, values in (("kind", self.kind), ("status", self.status)):
            if values is not None:
                found.append({field: {"$in": sorted(set(values))}})
        if self.color is not None:
            lab = lab_of("#" + self.color.removeprefix("#"))
            assert lab is not None
            found.append(near(lab, self.color_tolerance))
        for field, value in (
            ("orientation", self.orientation),
            ("created_by", self.uploaded_by),
            ("sha256", self.sha256),
        ):
            if value is not None:
                found.append({field: value})
        if self.project_id is not None:
            found.append({"project_id": None if self.project_id == "none" else self.project_id})
        if self.folder_id is not None:
            found.append({"folder_id": None if self.folder_id == "root" else self.folder_id})
        found += rights_wanted(self.rights, self.expires_before, now())
        if folders is not None:
            found.append({"folder_id": {"$in": list(folders)}})
        return found

    def _texts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        if self.q is not None:
            words = words_sought(self.q)
            # Of nothing but signs nothing is found: they are not kept.
            found += [{"words": {"$elemMatch": beginning(word)}} for word in words]
            found += [] if words else [{"words": {"$in": []}}]
        if self.name is not None:
            whole = not self.name.endswith("*")
            key = name_key(self.name.removesuffix("*"))
            found.append({"name_key": key if whole else beginning(key)})
        found += [
            {"labels": label(tag)} for tag in dict.fromkeys((*(self.tags or ()), self.tag)) if tag
        ]
        if self.media_type is not None:
            group, _, rest = self.media_type.partition("/")
            found.append({"media_type": beginning(f"{group}/") if rest == "*" else self.media_type})
        return found

    def _ranges(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for field, low, high in (
            ("bytes", "min_bytes", "max_bytes"),
            ("media.width", "min_width", "max_width"),
            ("media.height", "min_height", "max_height"),
            ("created_at", "created_after", "created_before"),
            ("updated_at", "updated_after", "updated_before"),
        ):
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise FilterInvalid(
                    f"{low} is above {high}.",
                    errors=[FieldError(pointer=low, code="range", detail=f"is above {high}")],
                )
            below = "$lt" if isinstance(most, datetime) else "$lte"
            bounds = {"$gte": least, below: most}
            if given := {sign: value for sign, value in bounds.items() if value is not None}:
                found.append({field: given})
        return found
