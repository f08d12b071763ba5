"""Waiting for what others bring about."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

DEADLINE = 60.0
"""Seconds. Generous: no test passes or fails by the speed of the machine."""


async def until(
    reached: Callable[[], Awaitable[Any]], what: str, seconds: float = DEADLINE
) -> None:
    """Wait until ``reached`` returns True, or fail saying what was seen last instead."""
    seen: Any = None
    try:
        async with asyncio.timeout(seconds):
            while (seen := await reached()) is not True:  # noqa: ASYNC110 - others make it true
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not within {seconds:g} s: {what} (seen: {str(seen)[:3000]})")
