"""An SMTP server that keeps each mail as a file instead of sending it.

``python -m infra.embedded.smtp_sink --port 8025 --folder .grid8/mails``
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import re
import signal
from datetime import UTC, datetime
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class FolderHandler:
    """Writes ``<UTC time>-<recipient>-<n>.eml`` for every recipient; a file appears complete or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = itertools.count(1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Called by aiosmtpd; the answer is the SMTP reply."""
        content = envelope.original_content or b""
        try:
            for recipient in envelope.rcpt_tos:
                await asyncio.to_thread(
                    self._write, str(envelope.mail_from or ""), str(recipient), content
                )
        except OSError as error:
            return f"452 the mail cannot be kept: {os.strerror(error.errno or 0)}"
        return "250 kept"

    def _write(self, sender: str, recipient: str, content: bytes) -> None:
        now = datetime.now(UTC)
        safe = re.sub(r"[^A-Za-z0-9@._+-]", "_", recipient).lstrip(".-")[:100] or "nobody"
        name = f"{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}Z-{safe}-{next(self._count)}"
        draft = self._folder / f".{name}.part"
        draft.write_bytes(
            f"Return-Path: <{_one_line(sender)}>\r\nDelivered-To: {_one_line(recipient)}\r\n".encode()
            + content
        )
        draft.rename(self._folder / f"{name}.eml")


def _one_line(address: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", "_", address)


async def serve(host: str, port: int, folder: Path) -> None:
    """Serve until SIGTERM or SIGINT."""
    handler = FolderHandler(folder)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="grid8.localhost", ident="Grid8", enable_SMTPUTF8=True),
        host,
        port,
    )
    async with server:
        await stop.wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.embedded.smtp_sink")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    given.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    asyncio.run(serve(given.host, given.port, given.folder))


if __name__ == "__main__":
    main()
