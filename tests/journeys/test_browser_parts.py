"""A part of the realtime client, in Chromium: comparing cursors."""

from __future__ import annotations

from typing import Any

import pytest
from browser import Tab, browser, needs_chromium, tab

__all__ = ["browser", "tab"]

pytestmark = needs_chromium


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('covers("g4.1-100-2", "g4.1-100-2")', True),
        ('covers("g4.1-100-2", "g4.1-100-3")', False),
        ('covers("g4.1-100-2", "g4.1-99-9")', True),
        ('covers("g4.1-1000-0", "g4.1-999-9")', True),
        ('covers("g4.1-100-2", "g4.2-1-1")', False),
        ('covers("g4.0-5-0.1-100-2", "g4.1-100-2")', True),
        ('covers("g8.1-100-2", "g4.1-100-2")', False),
        ('covers("nonsense", "g4.1-100-2")', False),
        ('joined(["g4.1-9-0", "g4.1-10-0"], "earliest")', "g4.1-9-0"),
        ('joined(["g4.1-9-0", "g4.1-10-0"], "latest")', "g4.1-10-0"),
        ('joined(["g4.1-9-0.3-2-2", "g4.0-7-1"], "earliest")', "g4.0-7-1.1-9-0.3-2-2"),
        ('joined([], "earliest")', None),
        ('joined(["nonsense"], "earliest")', "nonsense"),
        ('comparable("g4.1-9-0", "g4.2-1-1")', True),
        ('comparable("g4.1-9-0", "g8.1-9-0")', False),
        ('comparable("nonsense", "nonsense")', False),
        ('comparable("g4", "g4")', False),
        ('cursorOf("g4.1-9-0~secret")', "g4.1-9-0"),
    ],
)
async def test_cursors_are_compared_by_their_positions(tab: Tab, call: str, expected: Any) -> None:
    script = (
        'async () => { const { comparable, covers, joined, cursorOf } = await import("/web/realtime/cursors.js");'
        f" return {call}; }}"
    )
    assert await tab.run(script) == expected
