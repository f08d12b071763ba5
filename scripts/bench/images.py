"""Renditions beside sharp, the library for Node.js, which makes the same of the same photos."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from infra.images import ImagePipeline
from infra.images.render import SIZES, save_options
from infra.settings import AssetSettings
from scripts.bench.processes import cpu_seconds

Say = Callable[[str], None]
Made = list[list[tuple[str, int, int]]]
"""Of each photo, the name, width and height of each rendition, in any order."""

_HERE = Path(__file__).parent
MODULES = _HERE.parents[1] / "infra" / "lock" / "js" / "node_modules"
WAYS = {"sharp": "each", "sharp, decoding once": "once"}


class NoSharp(RuntimeError):
    """There is no Node.js, or no sharp."""


async def measure(rounds: int, folder: Path | None, count: int, say: Say) -> dict[str, Any]:
    """Medians of ``rounds``, the sides in turn; a round makes the renditions of all photos.

    ``folder`` has the photos (JPEG); without one, or while it is empty, ``count`` are drawn.
    Raises NoSharp, and RuntimeError when the sides do not make the same.
    """
    if not (MODULES / "sharp").exists():
        raise NoSharp("sharp is not installed; ./scripts/test installs it where there is npm")
    with tempfile.TemporaryDirectory(prefix="grid8-bench-") as scratch:
        photos = await _photos(folder or Path(scratch) / "photos", count, say)
        sides: dict[str, list[dict[str, Any]]] = {"grid8": [], **{side: [] for side in WAYS}}
        for number in range(rounds):
            made: dict[str, Made] = {}
            for side, runs in sides.items():
                with tempfile.TemporaryDirectory(dir=scratch) as into:
                    if side in WAYS:
                        run = await _sharp(photos, Path(into), WAYS[side])
                    else:
                        run = await _ours(photos, Path(into))
                    run["bytes"] = await asyncio.to_thread(_bytes_in, Path(into))
                made[side] = run.pop("made")
                runs.append(run)
                say(
                    f"round {number + 1}: {side:<22}{len(photos) / run['seconds']:>6.2f} images/s"
                    f"{run['cpu'] * 1000 / len(photos):>7.0f} ms of processor each"
                    f"{run['mib']:>6.0f} MiB{run['bytes'] / 2**20:>8.1f} MiB written"
                )
            for side in WAYS:
                if not _same(made["grid8"], made[side]):
                    raise RuntimeError(f"grid8 and {side} have not made the same renditions")
    return {
        "bench": "images",
        "rounds": rounds,
        "photos": len(photos),
        "cores": os.cpu_count(),
        "settings": {"webp": _webp(), "jpeg": _jpeg(), "sizes": list(SIZES)},
        "sides": {side: _figures(runs, sides, len(photos)) for side, runs in sides.items()},
    }


def _same(ours: Made, theirs: Made) -> bool:
    """The same names and sizes; a height may be rounded otherwise."""
    return len(ours) == len(theirs) and all(
        len(one) == len(other)
        and all(
            (a[0], a[1]) == (b[0], b[1]) and abs(a[2] - b[2]) <= 1
            for a, b in zip(one, other, strict=True)
        )
        for one, other in zip(ours, theirs, strict=True)
    )


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.*"))


def _figures(
    runs: list[dict[str, Any]], sides: dict[str, list[dict[str, Any]]], photos: int
) -> dict[str, Any]:
    beside = sides["sharp"]
    return {
        "images_per_second": statistics.median(photos / run["seconds"] for run in runs),
        "times_sharp": statistics.median(
            other["seconds"] / run["seconds"] for run, other in zip(runs, beside, strict=True)
        ),
        "cpu_ms_per_image": statistics.median(run["cpu"] * 1000 / photos for run in runs),
        "peak_mib": statistics.median(run["mib"] for run in runs),
        "memory_times_sharp": statistics.median(
            run["mib"] / other["mib"] for run, other in zip(runs, beside, strict=True)
        ),
        "written_mib": runs[0]["bytes"] / 2**20,
    }


async def _photos(folder: Path, count: int, say: Say) -> list[Path]:
    def found() -> list[Path]:
        return sorted(path for path in folder.glob("*") if path.suffix in {".jpg", ".jpeg"})

    if not await asyncio.to_thread(found):
        say(f"drawing {count} photos of 12 to 24 megapixels …")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "scripts.bench.photos", str(folder), str(count))
        )
        if await process.wait():
            raise RuntimeError("the photos could not be drawn; see above")
    return await asyncio.to_thread(found)


async def _ours(photos: list[Path], into: Path) -> dict[str, Any]:
    """As the asset worker does it: by rendering processes, as many as it has."""
    pipeline = ImagePipeline(AssetSettings())
    before = {child.pid for child in psutil.Process().children()}
    await pipeline.start()
    try:
        started = time.perf_counter()
        rendered = await asyncio.gather(
            *(_one(pipeline, photo, into / str(number)) for number, photo in enumerate(photos))
        )
        seconds = time.perf_counter() - started
        pids = [child.pid for child in psutil.Process().children() if child.pid not in before]
        mib = sum(_most_kib(pid) for pid in pids) / 1024
        cpu = sum(cpu_seconds(pid) for pid in pids)
    finally:
        await pipeline.close()
    return {"seconds": seconds, "cpu": cpu, "mib": mib, "made": rendered}


async def _one(pipeline: ImagePipeline, photo: Path, into: Path) -> list[tuple[str, int, int]]:
    await asyncio.to_thread(into.mkdir)
    rendered = await pipeline.render(photo, into)
    return sorted((each.name, each.width, each.height) for each in rendered.renditions)


def _most_kib(pid: int) -> int:
    """The most memory that was ever resident in a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


async def _sharp(photos: list[Path], into: Path, way: str) -> dict[str, Any]:
    """As programs with sharp do it, as many photos at once as there are cores."""
    spec = {
        "modules": str(MODULES),
        "photos": [str(photo) for photo in photos],
        "into": str(into),
        "sizes": list(SIZES),
        "webp": _webp(),
        "jpeg": _jpeg(),
        "atOnce": os.cpu_count(),
        "way": way,
    }
    try:
        process = await asyncio.create_subprocess_exec(
            *("node", str(_HERE / "sharp_renditions.cjs")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise NoSharp("there is no Node.js (node) to run sharp with") from error
    out, _ = await process.communicate(json.dumps(spec).encode())
    if process.returncode:
        raise RuntimeError("sharp failed; see above")
    answer = json.loads(out)
    made = [sorted((name, width, height) for name, width, height in one) for one in answer["made"]]
    return {
        "seconds": answer["seconds"],
        "cpu": answer["cpu"],
        "mib": answer["kib"] / 1024,
        "made": made,
    }


def _webp() -> dict[str, Any]:
    """What we save WebP with, in sharp's words."""
    ours = save_options("webp")
    return {"quality": ours["Q"], "alphaQuality": ours["alpha_q"], "effort": ours["effort"]}


def _jpeg() -> dict[str, Any]:
    ours = save_options("jpeg")
    return {
        "quality": ours["Q"],
        "progressive": ours["interlace"],
        "optimizeCoding": ours["optimize_coding"],
    }
