"""The garbage collector of a process that lives long and makes many short-lived objects."""

from __future__ import annotations

import gc

YOUNG = 20_000
"""Net new objects between looks at the youngest; Python's own 700 are a handful of requests."""


def settle() -> None:
    """Call once everything is loaded: what exists now stays, and need not be looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
