"""What is written to event streams, byte by byte: by the standards of WHATWG and HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

import pytest
import uvloop
from event_stream import Parser
from notifier_stage import DEADLINE, ORG, SseClient, Stage, envelope_of, until
from prometheus_client import REGISTRY

from handlers.notifier import silence
from infra.tickets import SSE_PATH
from tests.gateway.raw_http import RawAnswer, send_raw

BREAKS = "\n\r\r\n\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"

HOSTILE = [
    ("custom.breaks", {"text": f"a{BREAKS}b\n\ndata: {{}}\n\nevent: close\n\n"}),
    ("custom.names", {BREAKS: 1, "data: x": 2, "id:": 3, ":": 4, "": 5}),
    ("custom.emoji", {"text": "\U0001f600\ufeff\u200d\U0010ffff", "\U0001f600": [None, True]}),
    ("custom.escapes", {"text": "\\ud800 \\n \\u0000 \"'</script>"}),
    ("custom.long", {"text": "\U0001f600" * (1 << 18)}),
    ("custom.empty", {}),
    ("custom.x\ndata: {}\r\n\r\nevent: y", {}),
    ("custom.x\0\rretry: 1\nid: 7", {}),
    ("custom.name: with: colons", {}),
    ("custom. \u2028 \x85 \U0001f600", {}),
]


async def opened(client: SseClient) -> SseClient:
    assert client.response.status == 200, await client.response.text()
    await client.block()
    return client


async def request(
    stage: Stage,
    *lines: str,
    method: str = "GET",
    version: str = "1.1",
    wait: float = 1.0,
    **more: str,
) -> RawAnswer:
    """A request to the event stream as bytes; what came within so long."""
    query = urlencode({"channel": "org", **more})
    head = [f"{method} {SSE_PATH}?{query} HTTP/{version}", "Host: localhost", *lines, "", ""]
    data = "\r\n".join(head).encode("utf-8", "surrogateescape")
    return await send_raw(stage.urls[0], data, wait=wait)


async def test_whatever_an_event_holds_it_arrives_and_nothing_else_does(stage: Stage) -> None:
    async with stage.sse("org", "me") as client:
        await opened(client)
        for type, data in HOSTILE:
            made = envelope_of(type, data)
            await stage.publish(made)
            before = client.last_id
            kind, told = await client.event()
            assert kind == type.translate(str.maketrans("\n\r\0", "   "))
            assert (told["type"], told["data"], told["id"]) == (type, data, made.id)
            assert client.last_id not in ("", before)
    async with stage.sse("org", "me", since=before) as again:
        assert (await again.event())[1]["id"] == made.id


async def test_an_escape_of_half_a_character_is_passed_on_as_it_is(stage: Stage) -> None:
    text = '{"id":"evt_1","type":"custom.half","data":"\\ud800 \\u0000 \\n"}'
    fields: dict[Any, Any] = {
        "to": f"{ORG}/org",
        "id": "evt_1",
        "type": "custom.half",
        "event": text,
    }
    async with stage.sse("org") as client:
        await opened(client)
        await stage.redis.xadd(stage.stream(), fields)
        assert await client.event() == ("custom.half", json.loads(text))


async def test_a_quiet_stream_is_told_that_it_lives(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(heartbeat=0.4)
    clock = asyncio.get_running_loop().time
    async with stage.sse("org") as client:
        await opened(client)
        times = []
        for number in range(1, 5):
            assert "data" not in await client.block()
            assert client.comments.count("heartbeat") == number
            times.append(clock())
        # Never more often than it is set; that it comes at all is what the deadline is for.
        assert times[-1] - times[0] > 2.5 * 0.4
        assert client.last_id


async def test_the_head_keeps_proxies_from_holding_events_back(stage: Stage) -> None:
    said = await request(stage, "Accept-Encoding: gzip, br, zstd", ticket=await stage.ticket())
    assert said.status == 200
    assert said.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert said.headers["cache-control"] == "no-store"
    assert said.headers["x-accel-buffering"] == "no"
    assert said.headers["connection"] == "close"
    assert "content-encoding" not in said.headers
    assert "content-length" not in said.headers
    assert b": welcome\n" in said.body


async def test_a_client_of_http_1_0_gets_the_stream_as_it_is(stage: Stage) -> None:
    parts = urlsplit(stage.urls[0])
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    query = urlencode({"ticket": await stage.ticket(), "channel": "org"})
    writer.write(f"GET {SSE_PATH}?{query} HTTP/1.0\r\n\r\n".encode())
    async with asyncio.timeout(DEADLINE):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b" 200 " in head
        assert b"transfer-encoding" not in head
        parser = Parser(strict=True)
        assert [each.data for each in parser.feed(await reader.readuntil(b"\n\n"))] == [None]
        made = await stage.custom(1)
        (block,) = parser.feed(await reader.readuntil(b"\n\n"))
    assert json.loads(block.data or "")["id"] == made.id
    writer.close()


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "TRACE"])
async def test_other_methods_are_refused_and_spend_no_ticket(stage: Stage, method: str) -> None:
    ticket = await stage.ticket()
    said = await request(stage, "Content-Length: 0", method=method, ticket=ticket)
    assert said.status == 405
    assert said.headers["allow"] == "GET,OPTIONS" or said.headers["allow"] == "GET, OPTIONS"
    async with stage.sse("org", ticket=ticket) as client:
        await opened(client)


@pytest.mark.parametrize(
    "lines",
    [
        ["Last-Event-ID: nonsense"],
        ["Last-Event-ID: g4.0-1-1~short"],
        ["Last-Event-ID: g4.0-1-1~" + "é" * 16],
        ["Last-Event-ID: g4.0-99999999999999999999-0"],
        ["Last-Event-ID: 1", "Last-Event-ID: 2"],
        ["Last-Event-ID: g4" + ".0-1-1" * 900],
        ["Last-Event-ID: " + "g" * 9000],
        ["Last-Event-ID: \udcff\udcfe"],
        ["Last-Event-ID: g4.0-1-1\0"],
        ["Last-Event-ID: $"],
    ],
)  # fmt: skip
async def test_what_is_no_id_of_ours_is_a_malformed_request(stage: Stage, lines: list[str]) -> None:
    ticket = await stage.ticket()
    for accept in ("*/*", "text/event-stream"):
        said = await request(stage, f"Accept: {accept}", *lines, ticket=ticket)
        problem = json.loads(said.body)
        assert (said.status, problem["status"]) == (400, 400)
        assert problem["code"] in ("realtime.cursor_invalid", "realtime.request_malformed")
    async with stage.sse("org", ticket=ticket) as client:
        await opened(client)


async def test_an_id_from_the_future_is_one_that_is_no_longer_held(stage: Stage) -> None:
    shards = stage.settings.notifier.push_shards
    late = ".".join(f"{shard}-{'9' * 19}-{'9' * 19}" for shard in range(shards))
    async with stage.sse("org", Last_Event_ID=f"g{shards}.{late}") as client:
        assert (await client.event())[0] == "reset"
        await stage.custom(1)
        assert (await client.event())[1]["data"]["n"] == 1


def streams_open() -> float:
    labels = {"transport": "sse"}
    return REGISTRY.get_sample_value("grid8_realtime_sockets", labels) or 0.0


class Deaf:
    """A client that reads the head and the first block of its stream, and then no more."""

    def __init__(self, stage: Stage, ticket: str) -> None:
        self.stage, self.ticket = stage, ticket
        self.parser = Parser(strict=True)

    async def connect(self) -> None:
        parts = urlsplit(self.stage.urls[0])
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, (str(parts.hostname), int(parts.port or 0)))
        query = urlencode({"ticket": self.ticket, "channel": "org"})
        # HTTP/1.0: what follows the head is the stream, without chunks.
        await loop.sock_sendall(self.socket, f"GET {SSE_PATH}?{query} HTTP/1.0\r\n\r\n".encode())
        said = b""
        async with asyncio.timeout(DEADLINE):
            while not said.endswith(b"\n\n"):
                said += await loop.sock_recv(self.socket, 4096)
        self.parser.feed(said.partition(b"\r\n\r\n")[2])

    async def numbers_after(self) -> list[int]:
        """Come back as a browser does, with what was read last; the first events."""
        self.socket.close()
        async with self.stage.sse(
            "org", ticket=self.ticket, Last_Event_ID=self.parser.last_event_id
        ) as again:
            await opened(again)
            return [(await again.event())[1]["data"]["n"] for _ in range(40)]


async def test_who_stops_reading_is_cut_and_comes_back(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    stage = await make_stage(queue_limit=16)
    before = streams_open()
    deaf = Deaf(stage, await stage.ticket())
    await deaf.connect()
    for number in range(300):
        await stage.custom(number, size=50_000)
    await until(lambda: streams_open() == before, "the stream is taken down")
    assert REGISTRY.get_sample_value("grid8_realtime_queued_frames") == 0
    assert await deaf.numbers_after() == list(range(40))


async def test_who_takes_nothing_for_three_heartbeats_is_cut_and_comes_back(
    make_stage: Callable[..., Awaitable[Stage]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No queue is full here: it is TCP that gives up. A host that vanished ends likewise."""
    monkeypatch.setattr(silence, "SHORTEST", 0.5)
    stage = await make_stage(heartbeat=0.2, queue_limit=4096)
    before = streams_open()
    deaf = Deaf(stage, await stage.ticket())
    await deaf.connect()
    for number in range(200):
        await stage.custom(number, size=50_000)
    await until(lambda: streams_open() == before, "the stream is taken down")
    assert await deaf.numbers_after() == list(range(40))


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux can")
async def test_tcp_is_told_how_long_silence_may_last_under_the_loop_of_production() -> None:
    found: list[int] = []

    class Told(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport = cast(asyncio.Transport, transport)
            silence.end_when_silent(transport, 15.0)
            with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as same:
                found.append(same.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
            transport.write(b"still open")
            transport.close()

    async def once() -> bytes:
        server = await asyncio.get_running_loop().create_server(Told, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        said = await reader.read()
        writer.close()
        server.close()
        return said

    assert await asyncio.to_thread(uvloop.run, once()) == b"still open"
    assert found == [45_000]
