"""JSON that people give to commands."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class JsonRefused(ValueError):
    """That is not JSON; the message says why, in a sentence."""


def parse_json(text: bytes) -> Any:
    """The value of a JSON text. Raises JsonRefused."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise JsonRefused(f"That is not JSON: {error}.") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice in an object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
