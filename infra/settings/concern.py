"""What all classes of settings share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

MIB = 1024 * 1024
GIB = 1024 * MIB


def split_list(value: Any) -> Any:
    """Accept ``a,b,c`` where a list is expected: environments have no lists."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


class Concern(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
