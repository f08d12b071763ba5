"""How a WebSocket begins and ends: handshakes, close frames, floods, and who never answers."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable

import pytest
from notifier_stage import Stage, until
from prometheus_client import REGISTRY
from raw_ws import (
    CLOSE,
    CONTINUATION,
    HANDSHAKE,
    PING,
    PING_OP,
    PONG,
    TEXT,
    RawWs,
    close,
    connected,
    frame,
    raw_ws,
    request,
)

from handlers.notifier import app, peer
from handlers.notifier.wire import socket
from handlers.notifier.wire.parser import INVALID_DATA, PROTOCOL_ERROR
from handlers.notifier.wire.socket import BURST, Socket
from handlers.notifier.ws import WsPeer
from infra.connection import Connection
from infra.tickets import WS_PATH


def sockets() -> float:
    return REGISTRY.get_sample_value("grid8_realtime_sockets", {"transport": "ws"}) or 0.0


def cuts(code: int) -> float:
    labels = {"transport": "ws", "code": str(code)}
    return REGISTRY.get_sample_value("grid8_realtime_cuts_total", labels) or 0.0


BEFORE: list[object] = []


@pytest.fixture(autouse=True)
def before() -> None:
    BEFORE[:] = connections()


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "CLOSE_GRACE", 0.3)
    monkeypatch.setattr(socket, "CLOSE_GRACE", 0.3)


# 7: closing


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
)
async def test_a_valid_close_is_answered_with_its_code(stage: Stage, code: int) -> None:
    for reason in (b"", "bye ☂".encode(), b"x" * 123):
        async with raw_ws(stage) as raw:
            await raw.send(close(code, reason))
            assert await raw.closed() == (code, "")


async def test_a_close_without_a_code_is_answered_without_one(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(CLOSE))
        assert await raw.closed() == (None, "")


@pytest.mark.parametrize(
    "code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
async def test_an_invalid_close_code_is_refused(stage: Stage, code: int) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(close(code))
        assert await raw.closed() == (PROTOCOL_ERROR, "the close code is not valid")


async def test_half_a_close_code_is_refused(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(CLOSE, b"\x03"))
        assert await raw.closed() == (PROTOCOL_ERROR, "the close code is not valid")


@pytest.mark.parametrize("reason", [b"\xff", b"\xed\xa0\x80", b"\xce", b"ok\xf4\x90\x80\x80"])
async def test_a_close_reason_is_utf8(stage: Stage, reason: bytes) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(close(1000, reason))
        assert await raw.closed() == (INVALID_DATA, "the close reason is not UTF-8")


@pytest.mark.parametrize(
    "after", [frame(TEXT, PING_OP), frame(PING, b"x"), close(1002), b"\xff" * 1000]
)
async def test_what_comes_after_a_close_is_ignored(stage: Stage, after: bytes) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(close(1000), after)
        await raw.send(after)
        assert await raw.closed() == (1000, "")


async def test_what_comes_after_a_fault_is_ignored(stage: Stage) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(3), frame(TEXT, PING_OP) * 500)
        for _ in range(20):
            await raw.send(frame(TEXT, PING_OP) * 500)
        assert (await raw.closed())[0] == PROTOCOL_ERROR


async def test_a_close_frame_arrives_although_the_client_still_sends(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    """It would be lost if the notifier closed at once: unread data resets a connection."""
    stage = await make_stage(message_limit=1024)
    async with raw_ws(stage) as raw:
        await raw.send(frame(TEXT, b"x" * 1_000_000))
        assert (await raw.closed())[0] == 1009


# floods


@pytest.mark.parametrize(
    "each",
    [
        frame(PING),
        frame(PONG),
        frame(PING, b"x" * 125),
        frame(TEXT, PING_OP),
        frame(TEXT),
        frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"}"),
    ],
    ids=["pings", "pongs", "long pings", "messages", "empty messages", "fragments"],
)
async def test_a_flood_of_anything_ends_the_socket(stage: Stage, each: bytes) -> None:
    before = cuts(4029)
    async with raw_ws(stage) as raw:
        await raw.send(each * 2 * BURST)
        assert await raw.closed() == (4029, "too many messages")
    assert cuts(4029) == before + 1


@pytest.mark.parametrize("part", [b"", b"x"], ids=["empty", "one byte"])
async def test_a_flood_of_fragments_of_one_message_ends_the_socket(
    stage: Stage, part: bytes
) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(frame(TEXT, part, fin=False))
        await raw.send(frame(CONTINUATION, part, fin=False) * 2 * BURST)
        assert await raw.closed() == (4029, "too many messages")


async def test_pings_of_one_who_does_not_read_are_bounded(
    make_stage: Callable[..., Awaitable[Stage]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "BURST", 10**9)
    stage = await make_stage(queue_limit=16)
    before = cuts(4008)
    async with raw_ws(stage) as raw:

        async def flood() -> None:
            while True:
                await raw.send(frame(PING, b"x" * 125) * 1000)

        monkeypatch.setattr(raw.reader, "feed_data", lambda data: None)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        flooding = asyncio.create_task(flood())
        await until(lambda: cuts(4008) == before + 1, "the socket is cut")
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)


# who never answers


async def test_a_socket_that_answers_no_ping_is_forgotten(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(heartbeat=0.2)
    before = sockets(), cuts(1006)
    async with raw_ws(stage) as raw:
        assert sockets() == before[0] + 1
        assert await raw.frame() == (PING, b"")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await raw.frame()
        await until(lambda: sockets() == before[0], "the socket is forgotten")
    assert cuts(1006) == before[1] + 1


async def test_a_socket_that_answers_pings_stays(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(heartbeat=0.2)
    async with raw_ws(stage) as raw:
        for _ in range(5):
            assert await raw.frame() == (PING, b"")
            await raw.send(frame(PONG))
        await raw.lives()


@pytest.mark.usefixtures("short_grace")
async def test_a_client_that_never_answers_our_close_is_taken_down(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage()
    session = await stage.session()
    async with raw_ws(stage) as raw:
        await stage.sessions.revoke(session, "usr_1")
        opcode, payload = await raw.frame()
        assert (opcode, payload[:2]) == (CLOSE, (4001).to_bytes(2))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await raw.frame()
        await until(nobody, "the connection is gone")


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("last", [close(1000), frame(3)], ids=["close", "fault"])
async def test_a_client_that_never_leaves_is_taken_down(stage: Stage, last: bytes) -> None:
    async with raw_ws(stage) as raw:
        await raw.send(last)
        await raw.closed()
        await until(nobody, "the connection is gone")


def connections() -> list[object]:
    """What there is of sockets, and of the requests they began with."""
    gc.collect()
    kinds = (Socket, WsPeer, Connection)
    return [each for each in gc.get_objects() if isinstance(each, kinds)]


def nobody() -> bool:
    """Whether nothing is left of the sockets of this test. A failed one before it keeps its own."""
    known = {id(each) for each in BEFORE}
    return all(id(each) in known for each in connections())


@pytest.mark.parametrize(
    "last",
    [
        close(1000),
        frame(3),
        frame(TEXT, b"\xff"),
        frame(PING) * 2 * BURST,
        frame(TEXT, b"{" * 99)[:50],
    ],
    ids=["close", "fault", "bad text", "flood", "left within a frame"],
)
async def test_nothing_remains_of_a_socket_that_has_ended(stage: Stage, last: bytes) -> None:
    before = sockets()
    async with raw_ws(stage) as raw:
        await raw.send(frame(TEXT, b'{"op":"subscribe","channel":"org"}'))
        assert (await raw.message())["op"] == "subscribed"
        await raw.send(last)
    await until(lambda: sockets() == before, "the socket is forgotten")
    assert REGISTRY.get_sample_value("grid8_realtime_subscriptions") == 0
    await until(nobody, "the connection is gone")


async def test_an_upgraded_connection_is_no_longer_aiohttps(stage: Stage) -> None:
    async with raw_ws(stage):

        def handed_over() -> bool:
            known = {id(each) for each in BEFORE}
            return all(id(each) in known for each in connections() if isinstance(each, Connection))

        await until(handed_over, "aiohttp has let go")


# the handshake


async def refused(raw: RawWs) -> tuple[int, dict[str, str], str]:
    status, headers, body = await raw.response()
    assert headers["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["detail"]
    return status, headers, problem["code"]


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"Upgrade": None}, 400, "upgrade_missing"),
        ({"Upgrade": "h2c"}, 400, "upgrade_missing"),
        ({"Connection": None}, 400, "upgrade_missing"),
        ({"Connection": "keep-alive"}, 400, "upgrade_missing"),
        ({"Sec_WebSocket_Key": None}, 400, "handshake_invalid"),
        ({"Sec_WebSocket_Key": ""}, 400, "handshake_invalid"),
        ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZQ=="}, 400, "handshake_invalid"),
        ({"Sec_WebSocket_Key": "not base64 at all!!!!!!!"}, 400, "handshake_invalid"),
        ({"Sec_WebSocket_Version": None}, 426, "version_unsupported"),
        ({"Sec_WebSocket_Version": "8"}, 426, "version_unsupported"),
        ({"Sec_WebSocket_Version": "14"}, 426, "version_unsupported"),
        ({"Sec_WebSocket_Version": "x"}, 426, "version_unsupported"),
        ({"version": "1.0"}, 400, "upgrade_missing"),
        ({"Content_Length": "5"}, 400, "handshake_invalid"),
    ],
)
async def test_a_bad_handshake_is_answered_with_a_problem(
    stage: Stage, changed: dict[str, str], status: int, code: str
) -> None:
    async with connected(stage) as raw:
        await raw.send(await request(stage, **changed))
        given, headers, reason = await refused(raw)
        assert (given, reason) == (status, f"realtime.{code}")
        if status == 426:
            assert headers["sec-websocket-version"] == "13"
            assert headers["upgrade"] == "websocket"


async def test_a_key_comes_once(stage: Stage) -> None:
    async with connected(stage) as raw:
        sent = await request(stage)
        again = f"\r\nSec-WebSocket-Key: {HANDSHAKE['Sec-WebSocket-Key']}\r\n\r\n".encode()
        await raw.send(sent.removesuffix(b"\r\n\r\n") + again)
        assert (await refused(raw))[2] == "realtime.handshake_invalid"


async def test_tokens_of_the_handshake_are_compared_without_case(stage: Stage) -> None:
    async with connected(stage) as raw:
        await raw.send(await request(stage, Upgrade="WebSocket", Connection="keep-alive, UPGRADE"))
        assert (await raw.response())[0] == 101
        await raw.lives()


async def test_neither_extension_nor_subprotocol_is_agreed_on(stage: Stage) -> None:
    async with connected(stage) as raw:
        await raw.send(
            await request(
                stage,
                Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits",
                Sec_WebSocket_Protocol="grid8, other",
            )
        )
        status, headers, _ = await raw.response()
        assert status == 101
        assert "sec-websocket-extensions" not in headers
        assert "sec-websocket-protocol" not in headers
        assert headers["x-request-id"].startswith("req_")
        assert headers["upgrade"] == "websocket"
        assert headers["connection"] == "Upgrade"
        await raw.lives()


async def test_a_handshake_may_follow_another_request_and_come_byte_by_byte(stage: Stage) -> None:
    async with connected(stage) as raw:
        await raw.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", await request(stage))
        assert (await raw.response())[0] == 200
        assert (await raw.response())[0] == 101
        await raw.lives()
    async with connected(stage) as raw:
        await raw.trickle(await request(stage))
        assert (await raw.response())[0] == 101
        await raw.lives()


async def test_a_refused_handshake_leaves_an_http_connection(stage: Stage) -> None:
    async with connected(stage) as raw:
        await raw.send(await request(stage, Sec_WebSocket_Key=None))
        assert (await refused(raw))[0] == 400
        await raw.send(await request(stage))
        assert (await raw.response())[0] == 101
        await raw.lives()


async def test_a_handshake_that_takes_too_long_is_ended(
    make_stage: Callable[..., Awaitable[Stage]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PATIENCE", 0.3)
    stage = await make_stage()
    for sent in (b"", b"GET ", f"GET {WS_PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: web".encode()):
        async with connected(stage) as raw:
            await raw.send(sent)
            assert await asyncio.wait_for(raw.reader.read(), 10) == b""
    async with connected(stage) as raw:
        await raw.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await raw.response())[0] == 200
        await asyncio.sleep(0.6)  # what a connection may take between requests is not as short
        await raw.send(await request(stage))
        assert (await raw.response())[0] == 101
