"""Looking into files, each in a process of its own, seen from the process that has them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

import infra
from infra.inspection.results import ArchiveLimits, Facts, FileRejected
from infra.media_table import OFFICE, PACKAGED, RENDERED, ZIP
from infra.settings import AssetSettings

log = structlog.get_logger(__name__)

_MEMORY = 1024 * 1024 * 1024
_PACKAGES = frozenset(
    {
        ZIP.media_type,
        *(found.media_type for found in PACKAGED.values()),
        *(f"application/vnd.openxmlformats-officedocument.{each[0]}" for each in OFFICE.values()),
        *(f"application/vnd.{each[2]}.macroEnabled.12" for each in OFFICE.values()),
    }
)


def is_inspected(media_type: str) -> str | None:
    """How a file of this type is looked into; None when there is nothing to find."""
    group = media_type.partition("/")[0]
    if media_type in _PACKAGES:
        return "zip"
    if media_type == "application/pdf":
        return "pdf"
    if group in {"video", "audio"}:
        return "recording"
    if group == "image" and media_type not in RENDERED:
        return "picture"
    return group if group == "font" else None


class Inspector:
    """Looks into as many files at once as images are rendered. Use it from one event loop."""

    def __init__(self, settings: AssetSettings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.image_workers)

    async def inspect(self, path: Path, media_type: str) -> Facts:
        """The facts of a file, by its media type; none where it is broken or tells nothing.

        Raises FileRejected for an archive that is broken, or not safe to unpack, and
        FileNotFoundError. When cancelled the process is ended.
        """
        what = is_inspected(media_type)
        if what is None:
            return Facts()
        whole = await asyncio.to_thread(path.resolve, strict=True)
        async with self._turns:
            answer = await self._ask(whole, what)
        if "facts" in answer:
            return Facts(**answer["facts"])
        if "rejected" in answer:
            raise FileRejected(*answer["rejected"])
        if what == "zip":
            # An archive is only called good once it was looked into.
            raise FileRejected(
                "asset.inspection_timeout",
                f"Looking into the archive took longer than {self._settings.inspect_timeout:g} "
                "seconds, or more memory than is allowed.",
            )
        log.info("file_unreadable", what=what, why=answer["unreadable"])
        return Facts()

    async def _ask(self, path: Path, what: str) -> dict[str, Any]:
        seconds = self._settings.inspect_timeout
        request = {
            "path": str(path),
            "what": what,
            "limits": asdict(ArchiveLimits.of(self._settings)),
            "seconds": int(seconds) + 1,
            "memory": _MEMORY,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "infra.inspection.process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
        )
        try:
            async with asyncio.timeout(seconds):
                out, _ = await process.communicate(json.dumps(request).encode())
        except TimeoutError:
            return {"unreadable": "it took too long"}
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            return {"unreadable": f"its reader ended with {process.returncode}"}
        answer: dict[str, Any] = json.loads(out)
        return answer


def _environment() -> dict[str, str]:
    """Only what reading takes: a reader that is taken over must find no secret here."""
    root = str(Path(infra.__file__).resolve().parents[1])
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    }
