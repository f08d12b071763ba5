"""JSON that people give to commands."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class JsonRefused(ValueError):
    """That is not JSON; the message says why, in a sentence."""


def parse_json(text: bytes) -> Any:
    """The value of a JSON text. Raises JsonRefused."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise JsonRefused(f"That is not JSON: {error}.") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
