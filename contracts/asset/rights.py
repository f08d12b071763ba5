"""What may be done with an asset: where, from when, until when, by whose leave."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from contracts.asset.territories import Territory
from contracts.base import Contract, View
from contracts.types import Id, Instant, Text

RightsState = Literal["pending", "active", "expired"]

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _written_out(value: object) -> object:
    """Take nothing else for a time, such as the seconds since 1970."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with its offset")
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError as error:
        raise ValueError("must be a time that there is") from error


def _storable(instant: datetime) -> datetime:
    """In UTC and whole milliseconds, as MongoDB keeps it, and far enough from the calendar's ends."""
    if 2 <= instant.year <= 9998:
        instant = instant.astimezone(UTC)
    if not 1900 <= instant.year <= 9998:
        raise ValueError("must be in one of the years 1900 to 9998, in UTC")
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


Moment = Annotated[Instant, AfterValidator(_storable), BeforeValidator(_written_out)]
"""An instant that a caller names."""


def _once_each(codes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(codes))


Line = Annotated[
    Text,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"\S"),
]
Territories = Annotated[
    tuple[Territory, ...],
    Field(max_length=500),
    AfterValidator(_once_each),
    Field(min_length=1),
]


class Rights(Contract):
    """Usage rights. Whatever is not said is not limited."""

    territories: Territories | None = Field(
        None, description="Countries it may be shown in; null is worldwide."
    )
    starts_at: Moment | None = Field(None, description="It may be used from then on.")
    expires_at: Moment | None = Field(None, description="It may no longer be used from then on.")
    license: Line | None = Field(None, description="The licence's name or number.")
    holder: Line | None = Field(None, description="Whose rights they are.")
    credit: Line | None = Field(None, description="The line that must be shown with it.")
    notes: Annotated[Text, StringConstraints(max_length=1000)] | None = None
    releases: Annotated[tuple[Line, ...], Field(max_length=50)] = Field(
        (), description="Releases of models and properties, as they are filed."
    )

    @field_validator("expires_at")
    @classmethod
    def _after_the_start(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("starts_at")
        if value is not None and start is not None and value <= start:
            raise ValueError("must be after starts_at")
        return value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must say something: territories null is worldwide")
        return self


class RightsView(View):
    """Usage rights, and whether their time has come."""

    territories: tuple[str, ...] | None = Field(
        None, description="Countries, ISO 3166-1 alpha-2; null is worldwide."
    )
    starts_at: Instant | None = None
    expires_at: Instant | None = None
    license: str | None = None
    holder: str | None = None
    credit: str | None = None
    notes: str | None = None
    releases: tuple[str, ...] = ()
    state: RightsState = Field(description="At the time of the answer.")


class RightsCheckView(View):
    """Whether an asset may be used somewhere at some time."""

    asset_id: Id
    allowed: bool
    reason: Literal["unrecorded", "within", "not_started", "expired", "not_there", "place_unknown"]
    detail: str
    territory: str | None = Field(None, description="The country asked about.")
    at: Instant
    rights: RightsView | None = Field(None, description="As recorded; null when none are.")
