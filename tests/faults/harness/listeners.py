"""Clients of the notifiers that leave in every way there is, and come back by their cursors."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import aiohttp

from bus.feed.push_cursor import Position, decode
from infra.tickets import SSE_PATH, WS_PATH
from tests.handlers.notifier.event_stream import Parser

STAY = 8.0
"""Seconds a client stays at a notifier while it is rough, on average."""
PAUSE = 0.3
WAYS = ("clean", "abort", "half-read")
WAIT = aiohttp.ClientTimeout(total=None, sock_connect=10)


@dataclass(slots=True)
class Weather:
    """What all clients of a run share."""

    urls: Sequence[str]
    ticket: Callable[[str], Awaitable[str | None]]
    """A ticket for a person; None when there is none at the moment."""
    shards: int
    rough: bool = False
    """Whether clients leave by themselves."""
    begun: float = field(default_factory=time.monotonic)
    ways: Counter[str] = field(default_factory=Counter)
    """How connections ended: by us, by a close code, or broken."""

    @property
    def clock(self) -> float:
        """Seconds since the beginning."""
        return round(time.monotonic() - self.begun, 2)


@dataclass(frozen=True, slots=True)
class Shown:
    """An event as it came: on which channel (none for SSE), and when."""

    id: str
    channel: str
    at: float


class Listener(ABC):
    """One client. ``seen`` and the cursor change in one step: what is twice there came twice."""

    kind: ClassVar[str]

    def __init__(
        self, weather: Weather, name: str, person: str, channels: list[str], chance: random.Random
    ) -> None:
        self.name = f"{self.kind} {name} ({person}: {', '.join(channels)})"
        self.person = person
        self.channels = channels
        self.seen: list[Shown] = []
        self.ids: set[str] = set()
        """Of what was seen."""
        self.begins: dict[int, Position] = {}
        """What each push stream held already when the client came for the first time."""
        self.trouble: list[str] = []
        """What it must never be told: that events are lost, or that it may not come back."""
        self.history: list[str] = []
        self.there = asyncio.Event()
        """It has a cursor for each of its channels."""
        self.weather = weather
        self.chance = chance

    async def live(self) -> None:
        """Connect, listen, leave, and come back, until cancelled."""
        while True:
            url = self.chance.choice(self.weather.urls)
            how = "ended"
            try:
                async with aiohttp.ClientSession(timeout=WAIT) as http:
                    how = await self._visit(http, url)
            except (aiohttp.ClientError, OSError) as error:
                how = f"broken ({type(error).__name__})"
            self.weather.ways[how.partition(" ")[0]] += 1
            self.history.append(f"{self.weather.clock}: left :{url[-5:]}, {how}")
            await asyncio.sleep(self.chance.uniform(0, PAUSE))

    async def _visit(self, http: aiohttp.ClientSession, url: str) -> str:
        stay = self.chance.expovariate(1 / STAY) if self.weather.rough else None
        way = self.chance.choice(WAYS)
        try:
            async with asyncio.timeout(stay):
                await self.listen(http, url)
            return "ended"
        except TimeoutError:
            if way == "half-read":
                await asyncio.sleep(self.chance.uniform(0.2, 3))
            if way != "clean":
                self._break()
            return way
        finally:
            await self.close()

    @abstractmethod
    async def listen(self, http: aiohttp.ClientSession, url: str) -> None:
        """Listen at a notifier until the connection ends. Leaves it open when cancelled."""

    @abstractmethod
    def response(self) -> aiohttp.ClientResponse | None:
        """What the present connection began with, if there is one."""

    @abstractmethod
    async def close(self) -> None:
        """Say goodbye, as far as that can still be said."""

    def _break(self) -> None:
        """End the connection with RST, whatever is still to be sent or read."""
        response = self.response()
        connection = response.connection if response else None
        if response is not None and connection is not None and connection.transport is not None:
            ours = connection.transport.get_extra_info("socket")
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            response.close()

    def note(self, id: str, channel: str = "") -> None:
        """An event was shown."""
        self.seen.append(Shown(id, channel, self.weather.clock))
        self.ids.add(id)

    def begin(self, cursor: str) -> None:
        """Know the first cursor of each push stream."""
        self.begins = {**decode(cursor, self.weather.shards), **self.begins}

    def complain(self, what: str) -> None:
        """Something came that must not come."""
        self.trouble.append(f"{self.weather.clock}: {what}")


class EventSourceListener(Listener):
    """As a browser does it: one ticket for good, and the last id with every return."""

    kind = "SSE"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._ticket: str | None = None
        self._last_id = ""
        self._response: aiohttp.ClientResponse | None = None

    def response(self) -> aiohttp.ClientResponse | None:
        return self._response

    async def close(self) -> None:
        if self._response is not None:
            self._response.close()

    async def listen(self, http: aiohttp.ClientSession, url: str) -> None:
        self._response = None
        self._ticket = self._ticket or await self.weather.ticket(self.person)
        if self._ticket is None:
            return
        query = [("ticket", self._ticket), *(("channel", each) for each in self.channels)]
        headers = {"Accept": "text/event-stream"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        self._response = response = await http.get(url + SSE_PATH, params=query, headers=headers)
        if response.status != 200:
            if self._last_id:  # a browser would stop for good
                self.complain(f"{response.status} {await response.text()} for {self._last_id}")
            self._ticket = None
            return
        self.history.append(f"{self.weather.clock}: at :{url[-5:]}, from {self._last_id}")
        parser = Parser(strict=True)
        async for chunk in response.content.iter_any():
            for block in parser.feed(chunk):
                self._last_id = block.last_event_id
                self.begin(self._last_id)
                self.there.set()
                if block.data is not None:
                    self._hear(block.type, json.loads(block.data))

    def _hear(self, type: str, data: dict[str, Any]) -> None:
        if type == "close":
            self.weather.ways[f"close {data['code']}"] += 1
        elif type in ("reset", "unsubscribed"):
            self.complain(f"{type} {data}")
        else:
            self.note(data["id"])


class WebSocketListener(Listener):
    """A ticket for each connection, and a cursor for each channel."""

    kind = "WS"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._cursors: dict[str, str] = {}
        self._open: aiohttp.ClientWebSocketResponse | None = None

    def response(self) -> aiohttp.ClientResponse | None:
        return self._open._response if self._open else None  # aiohttp shows it nowhere else

    async def close(self) -> None:
        if self._open is not None:
            await self._open.close()

    async def listen(self, http: aiohttp.ClientSession, url: str) -> None:
        self._open = None
        ticket = await self.weather.ticket(self.person)
        if ticket is None:
            return
        self._open = await http.ws_connect(f"{url}{WS_PATH}?ticket={ticket}", max_msg_size=0)
        self.history.append(f"{self.weather.clock}: at :{url[-5:]}, from {self._cursors}")
        for channel in self.channels:
            since = {"since": self._cursors[channel]} if channel in self._cursors else {}
            await self._open.send_json({"op": "subscribe", "channel": channel, **since})
        async for message in self._open:
            self._hear(message.json())
        self.weather.ways[f"close {self._open.close_code}"] += 1

    def _hear(self, frame: dict[str, Any]) -> None:
        op, channel = frame["op"], frame.get("channel", "")
        if op == "event":
            self.note(frame["event"]["id"], channel)
        elif op == "subscribed":
            if channel in self._cursors and not frame["recovered"]:
                self.complain(f"not recovered: {frame}")
        else:
            self.complain(f"{frame}")
        if "cursor" in frame:
            self._cursors[channel] = frame["cursor"]
            self.begin(frame["cursor"])
        if len(self._cursors) == len(self.channels):
            self.there.set()
