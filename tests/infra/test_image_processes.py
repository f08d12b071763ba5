"""The rendering processes: what they survive, and that nothing survives them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest

from infra.images import ImagePipeline, ImageRejected
from infra.settings import MIB, AssetSettings
from tests.infra.pictures import BLUE, RED, near, pixel, plain

ENDLESS = """<svg xmlns="http://www.w3.org/2000/svg" width="9000" height="9000"><filter id="f"
x="0" y="0" width="1" height="1"><feTurbulence baseFrequency="0.3" numOctaves="400"/></filter>
<rect width="9000" height="9000" filter="url(#f)"/></svg>"""

Pipeline = Callable[..., Awaitable[ImagePipeline]]


@pytest.fixture
async def make() -> AsyncIterator[Pipeline]:
    made: list[ImagePipeline] = []

    async def start(**settings: float) -> ImagePipeline:
        pipeline = ImagePipeline(AssetSettings.model_validate({"image_workers": 1, **settings}))
        await pipeline.start()
        made.append(pipeline)
        return pipeline

    yield start
    await asyncio.gather(*(pipeline.close() for pipeline in made))
    async with asyncio.timeout(10):
        while children():  # noqa: ASYNC110 - the system ends them
            await asyncio.sleep(0.02)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    plain(64, 64, RED).write_to_file(str(tmp_path / "small.png"))
    return tmp_path / "small.png"


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    (tmp_path / "endless.svg").write_text(ENDLESS)
    return tmp_path / "endless.svg"


def children() -> list[psutil.Process]:
    found = []
    # Not recursive: a stack that other tests have started renders in processes of its own.
    for child in psutil.Process().children():
        # It may end while it is looked at.
        with suppress(psutil.Error):
            if "infra.images.worker" in child.cmdline():
                found.append(child)
    return found


def spent(process: psutil.Process) -> float:
    """Seconds of processor time; nothing for a process that has ended."""
    try:
        return float(sum(process.cpu_times()[:2]))
    except psutil.Error:
        return 0.0


async def until(fulfilled: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not fulfilled():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def rendering(
    pipeline: ImagePipeline, source: Path, into: Path
) -> AsyncIterator[asyncio.Task[object]]:
    """A render that has begun to take processor time."""
    idle = {child.pid: spent(child) for child in children()}
    task: asyncio.Task[object] = asyncio.ensure_future(pipeline.render(source, into))

    def busy() -> bool:
        return any(spent(c) > idle.get(c.pid, 9e9) + 0.1 for c in children())

    await until(busy)
    yield task


async def works(pipeline: ImagePipeline, small: Path, tmp_path: Path) -> None:
    rendered = await pipeline.render(small, tmp_path)
    assert near(pixel(rendered.renditions[0].path, 0.5, 0.5), RED)


async def test_an_image_that_takes_too_long_is_rejected_and_the_next_is_rendered(
    make: Pipeline, endless: Path, small: Path, tmp_path: Path
) -> None:
    pipeline = await make(image_timeout=0.5)
    started = time.monotonic()
    with pytest.raises(ImageRejected) as refusal:
        await pipeline.render(endless, tmp_path)
    assert refusal.value.code == "asset.image_timeout"
    assert time.monotonic() - started < 3
    await works(pipeline, small, tmp_path)


async def test_a_process_that_dies_once_is_replaced_and_the_image_rendered(
    make: Pipeline, small: Path, tmp_path: Path
) -> None:
    pipeline = await make()
    for child in children():
        child.kill()
    await works(pipeline, small, tmp_path)


@pytest.mark.parametrize("by", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
async def test_an_image_that_takes_its_process_down_twice_is_rejected(
    make: Pipeline, endless: Path, small: Path, tmp_path: Path, by: int
) -> None:
    pipeline = await make()
    first = children()[0]
    async with rendering(pipeline, endless, tmp_path) as task:
        first.send_signal(by)
        await until(lambda: any(child.pid != first.pid for child in children()))
        second = children()[0]
        await until(lambda: spent(second) > 0.5)
        second.send_signal(by)
        with pytest.raises(ImageRejected) as refusal:
            await task
    assert refusal.value.code == "asset.image_failed"
    await works(pipeline, small, tmp_path)


async def test_an_image_that_takes_too_much_memory_is_rejected(
    make: Pipeline, small: Path, tmp_path: Path
) -> None:
    pipeline = await make(image_memory=256 * MIB)
    # An interlaced PNG is decoded as a whole: here 290 MB.
    hungry = tmp_path / "hungry.png"
    plain(9_850, 9_850, BLUE).write_to_file(str(hungry), interlace=True, compression=1)
    with pytest.raises(ImageRejected) as refusal:
        await pipeline.render(hungry, tmp_path)
    assert refusal.value.code in {"asset.image_too_large", "asset.image_failed"}
    assert "memory" in refusal.value.detail
    await works(pipeline, small, tmp_path)


async def test_a_cancelled_rendering_stops_at_once_and_the_next_is_rendered(
    make: Pipeline, endless: Path, small: Path, tmp_path: Path
) -> None:
    pipeline = await make()
    async with rendering(pipeline, endless, tmp_path) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert children() == []
    await works(pipeline, small, tmp_path)


async def test_closing_ends_the_processes_and_what_they_render(
    make: Pipeline, endless: Path, tmp_path: Path
) -> None:
    pipeline = await make()
    async with rendering(pipeline, endless, tmp_path) as task:
        await pipeline.close()
        with pytest.raises(RuntimeError):
            await task
    assert children() == []


async def test_many_renderings_share_the_processes(
    make: Pipeline, small: Path, tmp_path: Path
) -> None:
    pipeline = await make(image_workers=2)
    folders = [tmp_path / str(n) for n in range(12)]
    for folder in folders:
        folder.mkdir()
    results = await asyncio.gather(*(pipeline.render(small, folder) for folder in folders))
    assert [result.renditions[0].path.parent for result in results] == folders
    assert len(children()) == 2


async def test_the_event_loop_turns_while_an_image_is_rendered(
    make: Pipeline, endless: Path, tmp_path: Path
) -> None:
    pipeline = await make()
    async with rendering(pipeline, endless, tmp_path) as task:
        worst = 0.0
        for _ in range(50):
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            worst = max(worst, time.perf_counter() - before)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert worst < 0.25


async def test_a_rendering_process_knows_no_secrets(
    make: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRID8_STORE__SECRET_KEY", "hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    await make()
    (child,) = children()
    assert "hush" not in child.environ().values()
    assert not any(name.startswith(("GRID8_", "AWS_")) for name in child.environ())


PARENT = """
import asyncio, os, sys
from pathlib import Path
from infra.images import ImagePipeline
from infra.settings import AssetSettings

async def main():
    pipeline = ImagePipeline(AssetSettings(image_workers=1))
    await pipeline.start()
    print("ready", flush=True)
    if len(sys.argv) > 1:
        await pipeline.render(Path(sys.argv[1]), Path(sys.argv[2]))
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("while_rendering", [False, True])
async def test_a_killed_parent_takes_its_rendering_processes_along(
    endless: Path, tmp_path: Path, while_rendering: bool
) -> None:
    arguments = [str(endless), str(tmp_path)] if while_rendering else []
    root = str(Path(__file__).resolve().parents[2])
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PARENT,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert parent.stdout is not None
    assert await parent.stdout.readline() == b"ready\n"
    (child,) = psutil.Process(parent.pid).children()
    if while_rendering:
        before = spent(child)
        await until(lambda: spent(child) > before + 0.2)
    parent.kill()
    await parent.wait()
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 3)
