"""What is wrong with a field, in words for who sent it: pydantic's are for who wrote the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contracts.corp.types import COLOR_PATTERN
from contracts.types import SLUG_PATTERN, TYPE_PATTERN

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
