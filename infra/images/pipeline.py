"""The rendering processes, seen from the process that has images to render."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

import infra
from infra.images.geometry import Wanted
from infra.images.results import ImageRejected, Limits, Rendered, from_wire
from infra.settings import AssetSettings

log = structlog.get_logger(__name__)

_START_SECONDS = 60.0
_IMAGES_PER_PROCESS = 200
_LINE_BYTES = 1024 * 1024


Progress = Callable[[int, int], Awaitable[None]]
"""Told how many are made, and of how many: after decoding, and after each."""


class _Died(Exception):
    """The rendering process ended before it answered."""


class ImagePipeline:
    """Renders images in ``image_workers`` processes of its own. Use it from one event loop."""

    def __init__(self, settings: AssetSettings) -> None:
        self._settings = settings
        self._limits = asdict(Limits(settings.max_pixels, settings.max_side, settings.max_frames))
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._workers: list[_Worker] = []
        self._closed = False

    async def start(self) -> None:
        """Start the processes. Raises RuntimeError when they do not come up."""
        self._workers = [
            _Worker(self._settings.image_memory, self._settings.image_workers)
            for _ in range(self._settings.image_workers)
        ]
        try:
            await asyncio.gather(*(worker.ensure() for worker in self._workers))
        except _Died as error:
            await self.close()
            raise RuntimeError("a rendering process did not start") from error
        for worker in self._workers:
            self._idle.put_nowait(worker)

    async def close(self) -> None:
        """End the processes; renderings still running fail."""
        self._closed = True
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    async def render(self, source: Path, into: Path, progress: Progress | None = None) -> Rendered:
        """Write the renditions of ``source`` to the folder ``into``, which exists.

        ``progress`` is awaited while the rendering goes on, and begins again where a process
        that died is replaced; what it raises ends the rendering. The same bytes give the same
        renditions. Raises ImageRejected when the image is at fault, OSError when a file cannot
        be read or written, asyncio.CancelledError at once: the process is ended then, as after
        a timeout.
        """
        answer = await self._ask(source, into, progress)
        return from_wire(answer["rendered"])

    async def transform(self, source: Path, into: Path, wanted: Wanted) -> str:
        """Write one picture made of ``source`` to the file ``into``; its format.

        The same bytes give the same picture. Raises as ``render`` does.
        """
        answer = await self._ask(source, into, None, wanted=asdict(wanted))
        made: str = answer["made"]
        return made

    async def _ask(
        self, source: Path, into: Path, progress: Progress | None, **more: Any
    ) -> dict[str, Any]:
        here = await asyncio.to_thread(Path.cwd)
        request = {
            "source": str(here / source),
            "into": str(here / into),
            "limits": self._limits,
            **more,
        }
        worker = await self._idle.get()
        try:
            answer = await self._answer(worker, request, progress)
        finally:
            self._idle.put_nowait(worker)
        if "rejected" in answer:
            raise ImageRejected(*answer["rejected"])
        if "os_error" in answer:
            raise OSError(*answer["os_error"])
        if "error" in answer:
            raise RuntimeError(f"rendering failed:\n{answer['error']}")
        return answer

    async def _answer(
        self, worker: _Worker, request: dict[str, Any], progress: Progress | None
    ) -> dict[str, Any]:
        # A second try in a fresh process: the first may have been ended for the memory
        # that others took.
        for last in (False, True):
            if self._closed:
                raise RuntimeError("the pipeline is closed")
            try:
                await worker.ensure()
            except _Died as error:
                raise RuntimeError("a rendering process did not start") from error
            try:
                return await worker.ask(request, self._settings.image_timeout, progress)
            except TimeoutError:
                raise ImageRejected(
                    "asset.image_timeout",
                    f"Rendering took longer than {self._settings.image_timeout:g} seconds.",
                ) from None
            except _Died as error:
                log.warning("image_process_died", source=request["source"], last=last)
                if last and not self._closed:
                    raise ImageRejected(
                        "asset.image_failed",
                        "The image ended the program that decodes it; it is damaged, or needs "
                        "more memory than is allowed.",
                    ) from error
        raise RuntimeError("the pipeline is closed")


class _Worker:
    """One process, started when there is none. Used by one caller at a time."""

    def __init__(self, memory: int, beside: int) -> None:
        self._memory = memory
        self._threads = max(1, (os.cpu_count() or 1) // beside)
        self._process: asyncio.subprocess.Process | None = None
        self._rendered = 0

    async def ensure(self) -> None:
        """Raises _Died when the process does not come up."""
        if self._process is not None and self._process.returncode is None:
            return
        await self.stop()
        self._rendered = 0
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "infra.images.worker",
            str(self._memory),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(self._threads),
            limit=_LINE_BYTES,
        )
        try:
            await asyncio.wait_for(self._read(), _START_SECONDS)
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                raise _Died from error
            raise

    async def ask(
        self, request: dict[str, Any], timeout: float, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Raises TimeoutError or _Died; the process is gone after either, and when cancelled."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            async with asyncio.timeout(timeout):
                while "progress" in (answer := await self._read()):
                    if progress is not None:
                        await progress(*answer["progress"])
        except BaseException:
            await self.stop()
            raise
        self._rendered += 1
        if self._rendered >= _IMAGES_PER_PROCESS:
            # Address space that decoders fragment would in the end count as growth.
            await self.stop()
        return answer

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _read(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise _Died
        answer: dict[str, Any] = json.loads(line)
        return answer


def _environment(threads: int) -> dict[str, str]:
    """Only what decoding takes: a decoder that is taken over must find no secret here."""
    root = str(Path(infra.__file__).resolve().parents[1])
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        "VIPS_CONCURRENCY": str(threads),
        # What one thread has freed is not kept from the others: a third less memory.
        "MALLOC_ARENA_MAX": "1",
        "VIPS_WARNING": "0",
    }
