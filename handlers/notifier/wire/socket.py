"""One WebSocket on its transport: pings, the two ways to close, and what may not be sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol, cast

import structlog

from handlers.notifier.peer import CLOSE_GRACE, Close
from handlers.notifier.wire.encode import PING, PONG, close_frame, frame
from handlers.notifier.wire.parser import Parser, Violation
from handlers.notifier.wire.pulse import Beating, Pulse

log = structlog.get_logger(__name__)

FRAMES_PER_SECOND = 50
BURST = 100
"""Frames of any kind, fragments too, that may come at once."""
HIGH_WATER = 32 * 1024
"""Bytes a socket may have unsent and still be written to at once."""
LOW_WATER = 8 * 1024
ABNORMAL = 1006
"""Never sent: the connection ended without a close frame (RFC 6455, 7.1.5)."""
INTERNAL_ERROR = 1011

_PING = frame(PING, b"")


class Owner(Protocol):
    """What a socket tells. All of it is called from the event loop and may not wait."""

    def on_open(self, write: Callable[[bytes], None]) -> None:
        """Frames may be written from now on."""

    def on_text(self, text: str) -> None:
        """A text message came."""

    def on_binary(self) -> None:
        """A binary message came."""

    def on_ping(self, pong: bytes) -> None:
        """A ping came, which this frame answers."""

    def on_full(self) -> None:
        """The client takes less than is written: write no more until ``on_room``."""

    def on_room(self) -> None:
        """There is room to write again."""

    def on_end(self, code: int, *, fault: bool) -> None:
        """Nothing more is to be read or written; the last of what is told.

        The code is the one the client closed with, 1005 when it gave none, ABNORMAL when it
        left without a word; with ``fault``, the one the client was told for what it did.
        """


class Socket(Parser, asyncio.Protocol):
    """A connection that has been upgraded.

    Neither an idle socket nor one that is written to has a task or a timer of its own.
    """

    __slots__ = (
        "_allowance",
        "_closing",
        "_counted",
        "_gone",
        "_grace",
        "_owner",
        "_pulse",
        "_seat",
        "_unanswered",
        "transport",
    )

    def __init__(self, owner: Owner, pulse: Pulse, limit: int) -> None:
        super().__init__(limit)
        self.transport: asyncio.Transport | None = None
        self._owner: Owner | None = owner
        self._pulse = pulse
        self._seat: set[Beating] = set()
        self._allowance = float(BURST)
        self._counted = time.monotonic()
        self._unanswered = False
        """No frame came since the last ping."""
        self._closing = False
        """Our close frame has been written, after which nothing may be."""
        self._grace: asyncio.TimerHandle | None = None
        self._gone: asyncio.Event | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self._seat = self._pulse.join(self)
        if self._owner is not None:
            self._owner.on_open(self.transport.write)

    def data_received(self, data: bytes) -> None:
        if self.stopped:
            return
        try:
            self.feed(data)
        except Violation as violation:
            self._fail(violation.code, violation.reason)
        except Exception:
            log.exception("socket_failed")
            self._fail(INTERNAL_ERROR, "something went wrong on our side")

    def eof_received(self) -> None:
        # The transport closes itself after this, once it has sent what it has.
        self._expect_end()
        self._end(ABNORMAL)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._expect_end()
        if self._grace is not None:
            self._grace.cancel()
        if self._gone is not None:
            self._gone.set()
        self._end(ABNORMAL)

    def pause_writing(self) -> None:
        if self._owner is not None:
            self._owner.on_full()

    def resume_writing(self) -> None:
        self._unanswered = False  # the client has taken something
        if self._owner is not None:
            self._owner.on_room()

    @property
    def ended(self) -> bool:
        """Whether ``on_end`` has been told."""
        return self._owner is None

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame, and wait until the client has answered and all is over."""
        if self.transport is None:
            return
        self._gone = self._gone or asyncio.Event()
        if not self._closing:
            self._closing = True
            self._seat.discard(self)
            self.transport.write(close_frame(code, reason))
        await self._gone.wait()

    def abort(self) -> None:
        """End the connection without a word."""
        if self.transport is not None:
            self.transport.abort()

    def beat(self) -> None:
        if self.transport is None:
            return
        if self._unanswered:
            self.abort()
            self._end(ABNORMAL, fault=True)
        else:
            self._unanswered = True
            self.transport.write(_PING)

    def on_frame(self) -> None:
        now = time.monotonic()
        earned = (now - self._counted) * FRAMES_PER_SECOND
        self._counted = now
        self._allowance = min(BURST, self._allowance + earned) - 1
        self._unanswered = False
        if self._allowance < 0:
            raise Violation(Close.FLOOD, "too many messages")

    def on_text(self, text: str) -> None:
        if self._owner is not None and not self._closing:
            self._owner.on_text(text)

    def on_binary(self) -> None:
        if self._owner is not None and not self._closing:
            self._owner.on_binary()

    def on_ping(self, payload: bytes) -> None:
        if self._owner is not None and not self._closing:
            self._owner.on_ping(frame(PONG, payload))

    def on_pong(self) -> None:
        """It has been counted, and as a sign of life, when it began."""

    def on_close(self, code: int | None) -> None:
        self._farewell(code, "")
        self._end(1005 if code is None else code)

    def _fail(self, code: int, reason: str) -> None:
        self._farewell(code, reason)
        self._end(code, fault=True)

    def _farewell(self, code: int | None, reason: str) -> None:
        """Send a close frame, unless we have, and wait for the client to end the connection.

        It is half closed only: where a client still sends, closing would reset the connection,
        and the client could lose the close frame. What it sends is not looked at.
        """
        self._expect_end()
        if self.transport is None:
            return
        if not self._closing:
            self._closing = True
            self.transport.write(close_frame(code, reason))
        self.transport.write_eof()

    def _expect_end(self) -> None:
        """Read no more, and give the client no more than a while to end the connection."""
        self.stopped = True
        self.forget()
        self._seat.discard(self)
        if self._grace is None and self.transport is not None:
            loop = asyncio.get_running_loop()
            self._grace = loop.call_later(CLOSE_GRACE, self.abort)

    def _end(self, code: int, *, fault: bool = False) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.on_end(code, fault=fault)
