"""A WebSocket client that comes back with its cursor."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from typing import Any

import aiohttp

from tests.faults.harness.caller import Caller

PAUSE = 0.1


class Watcher:
    """Counts what it is shown of an organization, over as many connections as it takes.

    ``restless``: leaves by itself now and then. What was shown is on record with its cursor
    in the same step, so an event that is counted twice was shown twice.
    """

    def __init__(self, caller: Caller, org: str, *, restless: random.Random | None = None) -> None:
        self.seen: Counter[str] = Counter()
        self.subscribed = asyncio.Event()
        self.connections = 0
        self.resets = 0
        """How often it was told that events are lost to it."""
        self._caller = caller
        self._org = org
        self._restless = restless
        self._cursor: str | None = None

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            answer = await self._caller.send("POST", f"/v1/orgs/{self._org}/realtime/tickets")
            if answer.status == 201:
                with contextlib.suppress(aiohttp.ClientError, OSError):  # refused, or broken
                    await self._connection(answer.body)
            else:
                assert answer.unknown, answer
            await asyncio.sleep(PAUSE)

    async def _connection(self, ticket: dict[str, Any]) -> None:
        url = f"{ticket['ws_url']}?ticket={ticket['ticket']}"
        async with self._caller.http.ws_connect(url) as socket:
            self.connections += 1
            since = {"since": self._cursor} if self._cursor else {}
            await socket.send_json({"op": "subscribe", "channel": "org", **since})
            patience = self._restless.randint(10, 60) if self._restless else -1
            async for message in socket:
                frame = message.json()
                if frame["op"] == "error":
                    return
                self._note(frame)
                patience -= 1
                if patience == 0:
                    return

    def _note(self, frame: dict[str, Any]) -> None:
        if frame["op"] == "reset" or (
            frame["op"] == "subscribed" and self._cursor and not frame["recovered"]
        ):
            self.resets += 1
        self._cursor = frame["cursor"]
        if frame["op"] == "event":
            self.seen[frame["event"]["id"]] += 1
        elif frame["op"] == "subscribed":
            self.subscribed.set()
