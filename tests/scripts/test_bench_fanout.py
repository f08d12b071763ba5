"""The measurement of sockets: what counts them, and both sides for a moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from click.testing import CliRunner

from scripts.bench.counting import MARK, Socket, Tally
from scripts.bench.fanout_sides import MODULES
from scripts.grid8.bench_fanout import fanout, table


def _frame(seq: int, sent: int = 1) -> bytes:
    payload = b'{"event":{%b%010d%020d","note":"%b"}}' % (MARK, seq, sent, b"x" * 200)
    return b"\x81\x7e" + len(payload).to_bytes(2) + payload


def _connected(tally: Tally) -> Socket:
    socket = Socket("grid8", "127.0.0.1", "ticket", tally)
    socket.connection_made(_Nowhere())
    socket.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    return socket


class _Nowhere(asyncio.Transport):
    def write(self, data: Any) -> None:
        pass


def test_it_says_what_it_measures() -> None:
    answer = CliRunner().invoke(fanout, ["--help"])
    assert answer.exit_code == 0, answer.output
    assert "--json" in answer.output


async def test_events_are_counted_however_their_bytes_arrive() -> None:
    tally = Tally()
    stream = b"".join(_frame(seq) for seq in range(5))
    for size in (1, 7, 250, len(stream)):
        socket = _connected(tally)
        for start in range(0, len(stream), size):
            socket.data_received(stream[start : start + size])
    assert tally.count == 20
    assert not tally.wrong


@pytest.mark.parametrize("order", [(0, 2), (0, 1, 1), (0, 2, 1), (1,)])
async def test_what_is_missing_twice_or_out_of_order_is_found(order: tuple[int, ...]) -> None:
    tally = Tally()
    socket = _connected(tally)
    for seq in order:
        socket.data_received(_frame(seq))
    assert tally.wrong


@pytest.mark.slow
@pytest.mark.skipif(not (MODULES / "socket.io").exists(), reason="npm has not installed socket.io")
async def test_both_sides_deliver_every_event_to_every_socket() -> None:
    from scripts.bench.fanout import measure

    result = await measure([20], 1, 0.5, 8, 400, lambda line: None, idle=50)
    [at_20] = result["results"]
    for side in ("grid8", "socketio"):
        figures = at_20["sides"][side]
        assert figures["most"]["deliveries"] % 20 == 0
        assert figures["steady"]["deliveries"] == 10_000
        assert figures["most"]["cpu_ms_per_1000"]["server"] > 0
    assert "deliveries/s ÷ Socket.IO" in table(result)
