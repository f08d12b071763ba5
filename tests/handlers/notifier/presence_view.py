"""What a client knows of presence, from what it was told."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from notifier_stage import DEADLINE, SseClient, WsClient


class View:
    """The people on one channel, as a client that follows the messages has them."""

    def __init__(self, client: WsClient | SseClient, channel: str = "org") -> None:
        self.client = client
        self.channel = channel
        self.people: set[str] = set()
        self.total = 0
        self.messages: list[dict[str, Any]] = []

    async def watch(self) -> dict[str, Any]:
        """Ask for the members over a WebSocket; the first answer."""
        assert isinstance(self.client, WsClient)
        await self.client.send(op="presence", channel=self.channel)
        while True:
            message = await self.follow()
            if "members" in message:
                return message

    async def follow(self) -> dict[str, Any]:
        """Take the next message on presence; what is of the event log is passed over."""
        while True:
            if isinstance(self.client, WsClient):
                message = await self.client.receive()
                if message["op"] in ("event", "reset"):
                    continue
                assert message.pop("op") == "presence", message
            else:
                name, message = await self.client.event()
                if name != "presence":
                    continue
            assert message["channel"] == self.channel
            self.messages.append(message)
            if "members" in message:
                self.people = {each["user"] for each in message["members"]}
            for each in message.get("joined", ()):
                assert each["user"] not in self.people, "joined twice"
                self.people.add(each["user"])
            for user in message.get("left", ()):
                assert user in self.people, "left twice"
                self.people.remove(user)
            self.total = message.get("total", self.total)
            return message

    async def until(self, *people: str) -> float:
        """Follow until exactly these are there; the seconds that took."""
        began = time.monotonic()
        async with asyncio.timeout(DEADLINE):
            while self.people != set(people):
                await self.follow()
        return time.monotonic() - began
