"""The text of a cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.feed.push_cursor import decode, encode, format_id, parse_id, secret_of, with_secret
from contracts.realtime.errors import CursorInvalid

NUMBERS = st.integers(0, 2**63 - 1)


@given(st.dictionaries(st.integers(0, 7), st.tuples(NUMBERS, NUMBERS), min_size=1))
def test_a_cursor_gives_back_its_positions(positions: dict[int, tuple[int, int]]) -> None:
    assert decode(encode(8, positions), 8) == positions


def test_a_cursor_needs_no_escaping_in_a_url_or_a_header() -> None:
    assert encode(4, {1: (1700000000000, 3)}).replace(".", "").replace("-", "").isalnum()


def test_a_cursor_of_another_number_of_streams_holds_no_position() -> None:
    assert decode(encode(4, {1: (5, 6)}), 8) == {}


@pytest.mark.parametrize(
    "text",
    ["", "g", "g4", "g4.", "x", "g4.9-1-1", "g4.1-1-1.1-1-1", "g0.0-1-1", "g4.1-1", "g4.1--1-1",
     "g4.1-1-1 ", "g4.1-1-1\n", "g4.1-٣-1", "g4.1-" + "9" * 20 + "-1", "g4" + ".1-1-1" * 2000,
     "1700000000000-0", "$", "null"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        decode(text, 4)


@given(st.text(max_size=40))
def test_no_text_makes_the_decoder_fail_otherwise(text: str) -> None:
    try:
        decode(text, 4)
    except CursorInvalid:
        return


def test_an_entrys_id_is_read_and_written() -> None:
    assert parse_id(b"17-3") == (17, 3)
    assert format_id((17, 3)) == "17-3"


def test_a_secret_behind_a_cursor_is_passed_over_and_found() -> None:
    cursor = encode(4, {1: (5, 6)})
    sealed = with_secret(cursor, "A" * 16)
    assert decode(sealed, 4) == decode(cursor, 4)
    assert secret_of(sealed) == "A" * 16
    assert secret_of(cursor) is None


@pytest.mark.parametrize(
    "secret", ["", "A" * 15, "A" * 65, "é" * 16, "A" * 15 + "~", "A" * 15 + "\n"]
)
def test_no_other_text_behind_a_cursor_is_passed_over(secret: str) -> None:
    with pytest.raises(CursorInvalid):
        decode(with_secret(encode(4, {1: (5, 6)}), secret), 4)
