"""A TCP line to a server, which can be cut or fall silent."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

State = Literal["through", "refused", "silent"]


class Line:
    """Listens on a port of its own and passes on what comes, as ``state`` allows."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.state: State = "through"
        self.port = 0
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def turn(self, state: State) -> None:
        """Change the state; what is open is cut."""
        self.state = state
        await self.close()
        if state != "refused":
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse everything."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        if self.state == "silent":
            with contextlib.suppress(OSError):
                await reader.read()  # to the end, without a word
            return
        there, away = await asyncio.open_connection(*self._target)
        self._open.add(away)
        await asyncio.gather(self._pass(reader, away), self._pass(there, writer))
        self._open -= {writer, away}

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                target.write(chunk)
                await target.drain()
        target.close()
