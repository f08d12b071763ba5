"""The parser that our streams are held against is itself held against the standard's examples."""

from __future__ import annotations

import pytest
from event_stream import Parser, Unclean

BOM = "\ufeff".encode()


def parsed(*chunks: bytes) -> tuple[Parser, list[tuple[str, str]]]:
    parser = Parser()
    blocks = [block for chunk in chunks for block in parser.feed(chunk)]
    return parser, [(each.type, each.data) for each in blocks if each.data is not None]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10")]),
        (b"event: add\ndata: 1\n\nevent: remove\ndata: 2\n\n", [("add", "1"), ("remove", "2")]),
        (b"data\n\ndata\ndata\n\ndata:", [("message", "\n")]),
        (b"data:test\n\ndata: test\n\n", [("message", "test"), ("message", "test")]),
        (b": test stream\n\ndata: first\nid: 1\n\n", [("message", "first")]),
        (b"data:  two spaces\n\n", [("message", " two spaces")]),
        (b"data:1\r\ndata:2\rdata:3\ndata:4\r\n\r\n", [("message", "1\n2\n3\n4")]),
        (b"data:1\r\rdata:2\n\n", [("message", "1"), ("message", "2")]),
        (BOM + b"data:1\n\n" + BOM + b"data:2\n\n", [("message", "1")]),
        (b" data:1\ndata :1\ndatax:1\nDATA:1\ndata:2\n\n", [("message", "2")]),
        (b"event:a\nevent:b\ndata:1\n\ndata:2\n\n", [("b", "1"), ("message", "2")]),
        (b"event:a\n\ndata:1\n\n", [("message", "1")]),
        (b"data:never ended\n", []),
        ("data:a\u2028b\n\n".encode(), [("message", "a\u2028b")]),
        (b"data:a\0b\n\n", [("message", "a\0b")]),
        (b"data:\xff\n\n", [("message", "\ufffd")]),
    ],
)
def test_an_example_gives_its_events(text: bytes, events: list[tuple[str, str]]) -> None:
    assert parsed(text)[1] == events
    # Cut between any two bytes, it says the same.
    assert parsed(*(bytes([each]) for each in text))[1] == events


def test_an_id_is_kept_without_data_and_is_not_taken_with_a_nul_in_it() -> None:
    parser, events = parsed(b"id: 1\n\n")
    assert (parser.last_event_id, events) == ("1", [])
    parser.feed(b"id: 2\0\ndata:x\n\n")
    assert parser.last_event_id == "1"
    parser.feed(b"id: 3\n")
    assert parser.last_event_id == "1"
    parser.feed(b"\n")
    assert parser.last_event_id == "3"
    parser.feed(b"id\n\n")
    assert parser.last_event_id == ""


def test_a_retry_is_of_digits_only() -> None:
    parser, _ = parsed(b"retry:1000\nretry:1e3\nretry: +5\nretry:\nretry:\xd9\xa3\n")
    assert parser.retry == 1000


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfdata:1\n\n", b"data:1\r\n\r\n", b"retry: x\n", b"id: \0\n", b"what: 1\n",
        b"event: a\n\n", b"event: a\nevent: b\n", b"data\n\n",
    ],
)  # fmt: skip
def test_a_strict_one_refuses_what_a_browser_would_pass_over(text: bytes) -> None:
    with pytest.raises(Unclean):
        Parser(strict=True).feed(text)
