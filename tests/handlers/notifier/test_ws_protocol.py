"""What a client may and may not send, in the groups of the Autobahn test suite."""

from __future__ import annotations

import json

import pytest
from notifier_stage import Stage
from raw_ws import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PING_OP,
    PONG,
    TEXT,
    close,
    frame,
    raw_ws,
)

from handlers.notifier.wire.parser import INVALID_DATA, PROTOCOL_ERROR, TOO_BIG

UNKNOWN = '{"op":"κόσμε"}'.encode()
"""A message with characters of two and three bytes, which is answered as an unknown op."""
BAD_UTF8 = [
    b"\x80",
    b"\xff",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
]


def pieces(payload: bytes, size: int) -> list[bytes]:
    """A text message in fragments."""
    parts = [payload[at : at + size] for at in range(0, len(payload), size)]
    last = len(parts) - 1
    return [
        frame(TEXT if not index else CONTINUATION, part, fin=index == last)
        for index, part in enumerate(parts)
    ]


# 1: framing


async def test_messages_of_all_lengths_of_header_are_read(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        for size in (len('{"op":"ping","x":""}'), 125, 126, 127, 128, 1000, 16 * 1024):
            text = '{"op":"ping","x":"' + "x" * (size - 20) + '"}'
            assert len(text) == size
            await raw.send(frame(TEXT, text.encode()))
            assert await raw.message() == {"op": "pong"}


async def test_a_frame_may_come_byte_by_byte(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        await raw.trickle(frame(TEXT, PING_OP))
        assert await raw.message() == {"op": "pong"}
        text = '{"op":"ping","x":"' + "ü" * 100 + '"}'
        await raw.trickle(frame(TEXT, text.encode()))
        assert await raw.message() == {"op": "pong"}


async def test_many_frames_may_come_in_one_piece_with_the_handshake(stage: Stage) -> None:
    async with raw_ws(stage, frame(TEXT, PING_OP) * 20 + frame(PING, b"x")) as raw:
        for _ in range(20):
            assert await raw.message() == {"op": "pong"}
        assert await raw.frame() == (PONG, b"x")


async def test_an_empty_message_and_binary_ones_are_answered_with_an_error(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        for sent in (
            frame(TEXT),
            frame(BINARY),
            frame(BINARY, b"\x00\xff" * 300),
            frame(BINARY, b"\xff", fin=False) + frame(CONTINUATION, PING_OP),
        ):
            await raw.send(sent)
            assert (await raw.message())["code"] == "realtime.frame_invalid"
        await raw.lives()


# 2: pings and pongs


@pytest.mark.parametrize("payload", [b"", b"hello", b"\x00\xff\xfe", b"\xfe" * 125])
async def test_a_ping_is_answered_with_its_payload(stage: Stage, payload: bytes) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(PING, payload))
        assert await raw.frame() == (PONG, payload)
        await raw.trickle(frame(PING, payload))
        assert await raw.frame() == (PONG, payload)


async def test_a_pong_nobody_asked_for_is_ignored(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(PONG), frame(PONG, b"x"), frame(PING, b"y"))
        assert await raw.frame() == (PONG, b"y")


async def test_pings_in_a_row_are_answered_in_order(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(*(frame(PING, b"%d" % number) for number in range(10)))
        assert [await raw.frame() for _ in range(10)] == [(PONG, b"%d" % n) for n in range(10)]


# 3: reserved bits; 4: reserved opcodes; and frames a client may not send


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
@pytest.mark.parametrize("reserved", range(1, 8))
async def test_reserved_bits_are_refused(stage: Stage, reserved: int, opcode: int) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(TEXT, PING_OP), frame(opcode, b"", reserved=reserved))
        assert await raw.message() == {"op": "pong"}
        assert await raw.closed() == (PROTOCOL_ERROR, "a reserved bit is set")


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
async def test_reserved_opcodes_are_refused(stage: Stage, opcode: int) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(opcode, b"x"))
        assert await raw.closed() == (PROTOCOL_ERROR, "the opcode is reserved")


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
async def test_frames_that_are_not_masked_are_refused(stage: Stage, opcode: int) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(opcode, b"", mask=False))
        assert await raw.closed() == (PROTOCOL_ERROR, "the frame is not masked")


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
async def test_long_control_frames_are_refused(stage: Stage, opcode: int) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(opcode, b"\x03\xe8" + b"x" * 124))
        assert await raw.closed() == (PROTOCOL_ERROR, "a control frame is too long")


@pytest.mark.parametrize(
    "head",
    [b"\x81\xfe\x00\x7d", b"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff", b"\x81\xfe\x00\x00"],
)
async def test_lengths_that_could_be_shorter_are_refused(stage: Stage, head: bytes) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(head)
        assert await raw.closed() == (PROTOCOL_ERROR, "a length is longer than it need be")


# 5: fragments


@pytest.mark.parametrize("size", [1, 2, 7, 13])
async def test_a_message_may_come_in_fragments(stage: Stage, size: int) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(*pieces(PING_OP, size))
        assert await raw.message() == {"op": "pong"}
        await raw.trickle(b"".join(pieces(PING_OP, size)))
        assert await raw.message() == {"op": "pong"}
        await raw.lives()


async def test_control_frames_may_come_between_fragments(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        for number, piece in enumerate(pieces(PING_OP, 3)):
            await raw.send(piece, frame(PONG), frame(PING, b"%d" % number))
            expected = [(PONG, b"%d" % number)]
            if number == 4:
                expected.insert(0, (TEXT, b'{"op":"pong"}'))
            assert [await raw.frame() for _ in expected] == expected


async def test_fragments_may_be_empty(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(
            frame(TEXT, fin=False),
            frame(CONTINUATION, PING_OP, fin=False),
            frame(CONTINUATION, fin=False),
            frame(CONTINUATION),
        )
        assert await raw.message() == {"op": "pong"}


async def test_a_close_between_fragments_ends_the_socket(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(TEXT, b"{", fin=False), close(1000))
        assert await raw.closed() == (1000, "")


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
async def test_control_frames_may_not_be_fragments(stage: Stage, opcode: int) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(opcode, b"", fin=False), frame(CONTINUATION, b""))
        assert await raw.closed() == (PROTOCOL_ERROR, "a control frame is fragmented")


@pytest.mark.parametrize("fin", [True, False])
async def test_there_must_be_something_to_continue(stage: Stage, fin: bool) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(CONTINUATION, PING_OP, fin=fin))
        assert await raw.closed() == (PROTOCOL_ERROR, "there is nothing to continue")
    async with raw_ws(stage) as raw:
        await raw.send(*pieces(PING_OP, 5), frame(CONTINUATION, PING_OP, fin=fin))
        assert await raw.message() == {"op": "pong"}
        assert await raw.closed() == (PROTOCOL_ERROR, "there is nothing to continue")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_message_may_not_begin_within_another(stage: Stage, opcode: int) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(TEXT, b"{", fin=False), frame(opcode, b"}"))
        assert await raw.closed() == (PROTOCOL_ERROR, "a message begins within another")


# 6: UTF-8


@pytest.mark.parametrize("bad", BAD_UTF8)
async def test_text_that_is_not_utf8_is_refused(stage: Stage, bad: bytes) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(TEXT, bad))
        assert await raw.closed() == (INVALID_DATA, "text is not UTF-8")


@pytest.mark.parametrize("bad", BAD_UTF8)
@pytest.mark.parametrize("size", [1, 3])
async def test_bad_text_is_refused_before_its_message_ends(
    stage: Stage, bad: bytes, size: int
) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(*pieces(b"ok" + bad + b"never more of it", size)[:-1])
        assert await raw.closed() == (INVALID_DATA, "text is not UTF-8")
    async with raw_ws(stage) as raw:
        await raw.send(frame(TEXT, b"ok" + bad + b"never more of it")[:-1])
        assert await raw.closed() == (INVALID_DATA, "text is not UTF-8")


async def test_a_character_that_is_cut_off_by_the_end_is_refused(stage: Stage) -> None:
    for cut in (b"\xce", b"\xe1\xbd", b"\xf0\x90\x80"):
        async with raw_ws(stage) as raw:
            await raw.send(frame(TEXT, cut))
            assert await raw.closed() == (INVALID_DATA, "text is not UTF-8")
        async with raw_ws(stage) as raw:
            await raw.send(frame(TEXT, b"x", fin=False), frame(CONTINUATION, cut))
            assert await raw.closed() == (INVALID_DATA, "text is not UTF-8")


@pytest.mark.parametrize("size", range(1, 8))
async def test_a_character_may_be_cut_over_fragments(stage: Stage, size: int) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(*pieces(UNKNOWN, size))
        assert (await raw.message())["code"] == "realtime.op_unknown"
        await raw.trickle(frame(TEXT, UNKNOWN))
        assert (await raw.message())["code"] == "realtime.op_unknown"


@pytest.mark.parametrize(
    "odd", ["\U0010ffff", "\ufffe", "\ufdd0", "\ufffd", "\x7f", "\x00", "\U0001f600"]
)
async def test_odd_but_valid_characters_are_text(stage: Stage, odd: str) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(TEXT, json.dumps({"op": odd}, ensure_ascii=False).encode()))
        assert (await raw.message())["op"] == "error"
        await raw.lives()


# 9: sizes


async def test_messages_that_are_too_big_are_refused_before_they_come(stage: Stage) -> None:
    limit = stage.settings.notifier.message_limit
    lengths = [
        b"\xfe" + (limit + 1).to_bytes(2),
        b"\xff" + (2**32).to_bytes(8),
        b"\xff" + (2**63 - 1).to_bytes(8),
        b"\xff" + (2**63).to_bytes(8),
        b"\xff" + (2**64 - 1).to_bytes(8),
    ]
    for opcode in (TEXT, BINARY):
        for length in lengths:
            async with raw_ws(stage) as raw:
                await raw.send(bytes((0x80 | opcode,)) + length)
                assert await raw.closed() == (TOO_BIG, f"a message may have {limit} bytes")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_fragments_may_not_be_too_big_together(stage: Stage, opcode: int) -> None:
    limit = stage.settings.notifier.message_limit
    half = b"x" * (limit // 2)
    async with raw_ws(stage) as raw:
        await raw.send(
            frame(opcode, half, fin=False),
            frame(CONTINUATION, half, fin=False),
            frame(PING, b"still here"),
        )
        assert await raw.frame() == (PONG, b"still here")
        await raw.send(frame(CONTINUATION, b"x"))
        assert await raw.closed() == (TOO_BIG, f"a message may have {limit} bytes")
