"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "off", "bad"]
"""``off``: missing, but the main job does not need it."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and how to mend it."""

    what: str
    state: State
    detail: str
    remedy: str = ""
