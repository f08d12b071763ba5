"""Field types that several contracts share: ids, instants, names, addresses."""

from __future__ import annotations

import hashlib
import os
import re
import time
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
)

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
"""Two characters for each ten bits."""
_TIME_SHIFTS = range(45, -1, -5)
_TIME_PART = re.compile(f"[{_CROCKFORD}]{{10}}")


def new_id(prefix: str) -> str:
    """A new opaque id, ``<prefix>_<26 characters>``, ordered by creation time to the millisecond.

    The second part is a ULID (48 bits of milliseconds, 80 random bits) in lower case.
    """
    milliseconds = time.time_ns() // 1_000_000
    return f"{prefix}_{_time_part(milliseconds)}{_crockford(os.urandom(10))}"


def derived_id(prefix: str, source: str, salt: str = "") -> str:
    """The id of what ``source`` causes: the same each time, so that a redelivery adds nothing.

    Keeps the time of ``source``; ``salt`` tells apart several things with one cause.
    """
    time_part = source.partition("_")[2][:10]
    if not _TIME_PART.fullmatch(time_part):
        time_part = "0000000000"
    digest = hashlib.sha256(f"{prefix} {source} {salt}".encode()).digest()
    return f"{prefix}_{time_part}{_crockford(digest[:10])}"


def first_id(prefix: str, instant: datetime) -> str:
    """An id that comes before all that ``new_id`` makes from this instant on."""
    return f"{prefix}_{_time_part(int(instant.timestamp() * 1000))}"


def made_at(id: str) -> datetime:
    """When ``new_id`` made an id, to the millisecond. Raises ValueError for other ids."""
    milliseconds = 0
    for character in id.partition("_")[2][:10]:
        milliseconds = milliseconds * 32 + _CROCKFORD.index(character)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@lru_cache(maxsize=64)
def _time_part(milliseconds: int) -> str:
    return "".join(_CROCKFORD[(milliseconds >> shift) & 31] for shift in _TIME_SHIFTS)


def _crockford(raw: bytes) -> str:
    """16 characters for 10 bytes. By hand, because every message needs a few: base64 takes thrice as long."""
    bits = int.from_bytes(raw)
    return (
        _PAIRS[bits >> 70]
        + _PAIRS[bits >> 60 & 1023]
        + _PAIRS[bits >> 50 & 1023]
        + _PAIRS[bits >> 40 & 1023]
        + _PAIRS[bits >> 30 & 1023]
        + _PAIRS[bits >> 20 & 1023]
        + _PAIRS[bits >> 10 & 1023]
        + _PAIRS[bits & 1023]
    )


def now() -> datetime:
    """The present instant in UTC, cut to the milliseconds that MongoDB and the API keep."""
    instant = datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def rfc3339(instant: datetime) -> str:
    """``2026-11-23T10:00:00.000Z``."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return f"{instant.isoformat(timespec='milliseconds')[:-6]}Z"


_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _time_text(value: object) -> object:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with its offset")
    return value


def _in_utc(instant: datetime) -> datetime:
    """So that it can be compared: at the calendar's ends, some have no time in UTC."""
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be a time that there is in UTC") from error


def _items(value: object) -> object:
    return [each.strip() for each in value.split(",")] if isinstance(value, str) else value


def _printable(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if any(unicodedata.category(character) in {"Cc", "Cs", "Co", "Cn"} for character in text):
        raise ValueError("must not contain control or unassigned characters")
    return text


_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Embeddings, overrides and isolates (Unicode Standard Annex 9): what they begin does not end with
a name, and shows what stands beside it in another order. Scripts from right to left need none."""


def _visible(text: str) -> str:
    if not any(unicodedata.category(character)[0] in "LMNPS" for character in text):
        raise ValueError("must have a visible character")
    if _REORDERING.search(text):
        raise ValueError("must not change the direction of what follows")
    return text


_ID = "[a-z0-9]{2,12}_[A-Za-z0-9_-]{1,64}"
ID_PATTERN = rf"^{_ID}$"
NONE_PATTERN, ROOT_PATTERN = rf"^(none|{_ID})$", rf"^(root|{_ID})$"
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=80)]
IdOrNone = Annotated[str, StringConstraints(pattern=NONE_PATTERN, max_length=80)]
IdOrRoot = Annotated[str, StringConstraints(pattern=ROOT_PATTERN, max_length=80)]
"""Filters by what a thing is in, which may be nothing."""
Instant = Annotated[AwareDatetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
Time = Annotated[AwareDatetime, AfterValidator(_in_utc), BeforeValidator(_time_text)]
"""A time in a query parameter: only as RFC 3339 has it, where pydantic takes numbers too."""
Listed = BeforeValidator(_items)
"""Makes a query parameter of several values of a list separated by commas."""
# Measured before it is normalised: sorting combining marks takes the square of their number.
Text = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_printable)]
Name = Annotated[
    Text,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"\S"),
    AfterValidator(_visible),
]
SLUG_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN, max_length=63)]
Tag = Annotated[
    Text,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=r"\S"),
    AfterValidator(_visible),
]
_WORD = "[a-z0-9][a-z0-9_-]*"
TYPE_PATTERN = rf"^{_WORD}(\.{_WORD})*(\.\*)?$"
"""A type of events, or with ``.*`` at its end all that begin so."""
SHA256_PATTERN = r"^[0-9a-f]{64}$"
Sha256 = Annotated[str, StringConstraints(pattern=SHA256_PATTERN)]
Revision = Annotated[int, Field(ge=1, description="Counts changes; the ETag of the view.")]
