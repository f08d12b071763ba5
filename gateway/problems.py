"""What pydantic finds wrong with a request, as fields of a problem."""

from __future__ import annotations

from pydantic import ValidationError

from contracts.errors import FieldError
from gateway.errors import ValidationFailed

SHOWN = 50
"""Wrong fields that one problem names at most."""


def invalid(error: ValidationError, *, prefix: str = "/") -> ValidationFailed:
    """What pydantic found, as fields with pointers; never with the values given."""
    errors = [
        FieldError(
            pointer=prefix + "/".join(pointer(part) for part in each["loc"]),
            code=each["type"],
            detail=each["msg"].removeprefix("Value error, "),
        )
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return ValidationFailed(
        "; ".join(f"{each.pointer}: {each.detail}" for each in errors[:3]), errors=errors[:SHOWN]
    )


def pointer(part: int | str) -> str:
    """One token of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")[:200]
