"""Parts of the realtime client, in Chromium: reading an event stream, comparing cursors."""

from __future__ import annotations

from typing import Any

import pytest
from browser import Tab, browser, needs_chromium, tab

__all__ = ["browser", "tab"]

pytestmark = needs_chromium

PARSE = """async (pieces) => {
  const { Parser } = await import("/web/realtime/parser.js");
  const parser = new Parser();
  return pieces.flatMap((piece) => parser.feed(piece)).map(({ type, data, id }) => [type, data, id]);
}"""

STREAM = (
    "\ufeff: welcome\nretry: 2000\nid: c0\n\n"
    'id: c1\r\nevent: custom.a\r\ndata: {"a": 1}\r\n\r\n'
    "event: custom.b\rdata: one\rdata:two\rdata\r\r"
    ": heartbeat\nid: c2\n\n"
    "data: no id of its own\n\n"
    "id: with\0nul\nnonsense: x\nevent: lost\n\n"
    "data: unfinished\n"
)
TOLD = [
    ["message", None, "c0"],
    ["custom.a", '{"a": 1}', "c1"],
    ["custom.b", "one\ntwo\n", "c1"],
    ["message", None, "c2"],
    ["message", "no id of its own", "c2"],
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_a_stream_is_read_as_the_standard_says_in_pieces_of_any_size(
    tab: Tab, size: int
) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert await tab.run(PARSE, pieces) == TOLD


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
        ('cursorOf("g4.1-9-0~secret")', "g4.1-9-0"),
    ],
)
async def test_cursors_are_compared_by_their_positions(tab: Tab, call: str, expected: Any) -> None:
    script = (
        'async () => { const { covers, joined, cursorOf } = await import("/web/realtime/cursors.js");'
        f" return {call}; }}"
    )
    assert await tab.run(script) == expected
