"""The bytes of one request on their way into an upload that is resumable."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO

import aiohttp
from aiohttp import web

from contracts.asset.errors import UploadChecksumWrong, UploadCut, UploadMalformed
from gateway.uploading.receiving import IDLE
from gateway.uploading.tus_protocol import Checksum
from handlers.asset.kinds import admit
from infra.leases import Lease
from infra.media import HEAD_BYTES
from infra.object_store import READ_BYTES, StoreFull

LOOK_EVERY = 2.0
"""Seconds without a byte after which a request looks whether another waits in its place."""
_ROOM_CHECK_BYTES = 16 * 1024 * 1024
_IN_MEMORY = 1024 * 1024


async def arriving(request: web.Request, lease: Lease) -> AsyncIterator[bytes]:
    """The body as it comes. Raises UploadCut where no more does, or UploadMalformed.

    A connection that is dead, and not known to be, gives way to the one that goes on.
    """
    content, silent = request.content, 0.0
    while True:
        try:
            async with asyncio.timeout(LOOK_EVERY):
                chunk = await content.readany()
        except TimeoutError as error:
            silent += LOOK_EVERY
            if silent >= IDLE or lease.wanted:
                raise UploadCut() from error
            continue
        except (ConnectionError, web.RequestPayloadError) as error:
            raise UploadCut() from error
        except (aiohttp.ClientError, ValueError) as error:
            raise UploadMalformed() from error
        silent = 0.0
        if not chunk:
            if content.at_eof():
                return
            continue
        yield chunk


async def admitted(
    chunks: AsyncIterator[bytes], filename: str, forbidden: Sequence[str]
) -> AsyncIterator[bytes]:
    """The chunks of a file from its first byte on. Raises TypeForbidden once enough have come to
    tell what it is; fewer are looked at when all have."""
    head = bytearray()
    async for chunk in chunks:
        if len(head) < HEAD_BYTES:
            head += chunk[: HEAD_BYTES - len(head)]
            if len(head) == HEAD_BYTES:
                admit(bytes(head), filename, forbidden=forbidden)
        yield chunk


async def verified(
    chunks: AsyncIterator[bytes], checksum: Checksum, *, folder: Path | None, free_disk: int
) -> AsyncIterator[bytes]:
    """The bytes, once all have come and add up to ``checksum``: until then they are kept aside.

    Raises UploadChecksumWrong, and StoreFull where the disk has no room for them.
    """
    # Without a name: it is gone with the process, whatever ends it.
    with tempfile.SpooledTemporaryFile(
        max_size=_IN_MEMORY, dir=None if folder is None else str(folder)
    ) as aside:
        until_check = 0
        async for chunk in chunks:
            until_check -= len(chunk)
            if until_check <= 0:
                until_check = _ROOM_CHECK_BYTES
                _require_room(folder, free_disk)
            await asyncio.to_thread(_put, aside, checksum, chunk)
        if not checksum.fits():
            raise UploadChecksumWrong()
        await asyncio.to_thread(aside.seek, 0)
        while chunk := await asyncio.to_thread(aside.read, READ_BYTES):
            yield chunk


def _put(aside: IO[bytes], checksum: Checksum, chunk: bytes) -> None:
    try:
        aside.write(chunk)
    except OSError as error:
        raise StoreFull(str(error)) from error
    checksum.running.update(chunk)


def _require_room(folder: Path | None, free_disk: int) -> None:
    if shutil.disk_usage(folder or tempfile.gettempdir()).free < free_disk:
        raise StoreFull(f"less than {free_disk} bytes are free")
