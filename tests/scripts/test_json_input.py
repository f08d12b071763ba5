"""JSON that people give to commands is as strict as JSON over HTTP."""

from __future__ import annotations

import pytest

from scripts.grid8.json_input import JsonRefused, parse_json


def test_what_is_json_is_read() -> None:
    assert parse_json(b'{"a": [1, {"a": null}], "b": {}}') == {"a": [1, {"a": None}], "b": {}}


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"NaN", b'{"a": 1, "a": 2}', b'[{"b": {"a": 1, "a": 1}}]', b"\xff", b"[" * 9999],
)
def test_what_two_readers_could_read_in_two_ways_is_refused(text: bytes) -> None:
    with pytest.raises(JsonRefused):
        parse_json(text)
