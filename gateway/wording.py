"""What is wrong with a field, in words for who sent it: pydantic's are for who wrote the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contracts.asset.territories import TERRITORY_PATTERN
from contracts.asset.transforms import REGION_PATTERN
from contracts.asset.types import MEDIA_TYPE_PATTERN, NEAR_COLOR_PATTERN
from contracts.corp.types import COLOR_PATTERN
from contracts.types import (
    ID_PATTERN,
    NONE_PATTERN,
    ROOT_PATTERN,
    SHA256_PATTERN,
    SLUG_PATTERN,
    TYPE_PATTERN,
)

_COUNTED = {
    "too_short": ("at least", "min_length", "item"),
    "too_long": ("at most", "max_length", "item"),
    "string_too_short": ("at least", "min_length", "character"),
    "string_too_long": ("at most", "max_length", "character"),
}
_PLAIN = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "bool_parsing": "must be true or false",
    "datetime_parsing": "must be an RFC 3339 time with its offset",
    "datetime_from_date_parsing": "must be an RFC 3339 time with its offset",
    "timezone_aware": "must be an RFC 3339 time with its offset",
}
_PATTERNS = {
    r"\S": "must not be blank",
    SLUG_PATTERN: "must be of a-z, 0-9 and hyphens, with no hyphen at its ends",
    COLOR_PATTERN: "must be #RRGGBB or #RRGGBBAA",
    TYPE_PATTERN: "must be a type, such as corp.brand.created, or the beginning of some: corp.*",
    ID_PATTERN: "must be an id, as answers give it",
    NONE_PATTERN: "must be an id, as answers give it, or none",
    ROOT_PATTERN: "must be an id, as answers give it, or root",
    SHA256_PATTERN: "must be a SHA-256: 64 digits of 0-9 and a-f",
    TERRITORY_PATTERN: "must be an ISO 3166-1 alpha-2 code in capitals, such as DE",
    REGION_PATTERN: "must be four numbers: x,y,width,height",
    MEDIA_TYPE_PATTERN: "must be a media type, such as image/png, or a family: image/*",
    NEAR_COLOR_PATTERN: "must be RRGGBB, or #RRGGBB with the # as %23",
}
_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*')>")
_BEGINNINGS = (("Value error, ", ""), ("Input should ", "must "), ("String should ", "must "))


def words_of(error: Mapping[str, Any]) -> str:
    """Of one of ``ValidationError.errors()`` with input and context. Never what was given."""
    kind, given = error["type"], error.get("ctx", {})
    if kind in _COUNTED:
        how, limit, unit = _COUNTED[kind]
        number = given[limit]
        if isinstance(error["input"], str):
            unit = "character"
        return f"must have {how} {number} {unit}{'' if number == 1 else 's'}"
    if kind == "string_pattern_mismatch" and given["pattern"] in _PATTERNS:
        return _PATTERNS[given["pattern"]]
    message: str = _MEMBER.sub(r"\1", _PLAIN.get(kind, error["msg"]))
    for beginning, instead in _BEGINNINGS:
        if message.startswith(beginning):
            return instead + message.removeprefix(beginning)
    return message
