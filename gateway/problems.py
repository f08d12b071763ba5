"""What pydantic finds wrong with a request, as fields of a problem."""

from __future__ import annotations

from pydantic import ValidationError

from contracts.errors import FieldError
from gateway.errors import ValidationFailed
from gateway.wording import words_of

SHOWN = 50
"""Wrong fields that one problem names at most."""


def invalid(error: ValidationError, *, prefix: str = "/") -> ValidationFailed:
    """What pydantic found, as fields with pointers; never with the values given.

    Without a prefix they are query parameters, and have no pointers into them.
    """
    found = error.errors(include_url=False)
    # A list is called too short also because of the items that were wrong, and are said to be.
    below = {each["loc"][:depth] for each in found for depth in range(len(each["loc"]))}
    errors = [
        FieldError(
            pointer=prefix + "/".join(map(pointer, each["loc"][: None if prefix else 1])),
            code=each["type"],
            detail=words_of(each),
        )
        for each in found
        if each["type"] != "too_short" or each["loc"] not in below
    ]
    return ValidationFailed(
        "; ".join(f"{each.pointer}: {each.detail}" for each in errors[:3]), errors=errors[:SHOWN]
    )


def pointer(part: int | str) -> str:
    """One token of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")[:200]
