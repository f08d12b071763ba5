"""Runs child processes: starts them in order, restarts what dies, stops them in order."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.embedded.child import Child, Process, ended
from infra.embedded.errors import CannotStartError

Say = Callable[[str], None]

_FIRST_BACKOFF = 0.2
_LAST_BACKOFF = 15.0
_STEADY = 30.0  # seconds ready after which a crash counts as the first again


class Supervisor:
    """Keeps these processes running; one line is said for whatever happens to one of them.

    Each one's output goes to ``<logs>/<name>.log``; the log of the previous start is
    kept as ``<name>.log.1``. All methods belong to the loop that called `start`, but
    `children`, their ``ready``, ``pid`` and ``generation`` may be read from anywhere.
    """

    def __init__(self, processes: Sequence[Process], logs: Path, say: Say) -> None:
        self.children = {
            process.name: Child(process, logs / f"{process.name}.log") for process in processes
        }
        if len(self.children) != len(processes):
            raise ValueError("two processes have the same name")
        self._logs = logs
        self._say = say
        self._width = max((len(name) for name in self.children), default=0)
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._hurry = asyncio.Event()

    async def start(self) -> None:
        """Start all and return when all are ready.

        When one does not become ready, or this is cancelled, everything is stopped
        again before CannotStartError (or the cancellation) is raised.
        """
        try:
            self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            for child in self.children.values():
                if child.log.exists():
                    child.log.replace(child.log.with_name(f"{child.log.name}.1"))
            for stage in self._stages(lambda process: process.start_stage):
                await self._start_stage(stage)
        except BaseException:
            await self.stop()
            raise

    async def _start_stage(self, stage: list[Child]) -> None:
        starting = [asyncio.ensure_future(self._start_one(child)) for child in stage]
        try:
            await asyncio.gather(*starting)
        finally:
            # Nothing may be spawned after the stop that follows a failure has begun.
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)

    async def _start_one(self, child: Child) -> None:
        await child.spawn()
        took = await child.wait_ready()
        if child.process.once:
            await child.wait()
            self._report(child, "done", f"{took:.1f} s")
        else:
            self._watch(child)
            self._report(child, "ready", child.process.shown, f"{took:.1f} s")

    def _watch(self, child: Child) -> None:
        self._watchers[child.process.name] = asyncio.create_task(self._keep_running(child))

    async def _keep_running(self, child: Child) -> None:
        backoff = _FIRST_BACKOFF
        what = ""
        while True:
            if not what:
                what = ended(await child.wait())
                if time.monotonic() - child.ready_since > _STEADY:
                    backoff = _FIRST_BACKOFF
            self._report(child, what, f"restarting in {backoff:.1f} s")
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _LAST_BACKOFF)
            try:
                await child.spawn()
                took = await child.wait_ready()
            except CannotStartError as error:
                await child.stop(self._hurry)
                # The log file has the rest; a supervisor's line stays one line.
                what = str(error).partition("\n")[0].removeprefix(f"{child.process.name} ")
                continue
            what = ""
            self._report(child, "ready again", child.process.shown, f"{took:.1f} s")

    async def hold(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End one process and keep it down until `release`."""
        child = self.children[name]
        if watcher := self._watchers.pop(name, None):
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        child.signal(number)
        await child.stop(self._hurry)

    async def release(self, name: str) -> None:
        """Start a held process again and wait until it is ready."""
        child = self.children[name]
        await child.spawn()
        took = await child.wait_ready()
        self._watch(child)
        self._report(child, "ready again", child.process.shown, f"{took:.1f} s")

    def hurry(self) -> None:
        """Cut the graces of a stop that is under way, or of the one to come."""
        self._hurry.set()

    async def stop(self) -> None:
        """Stop all in order, and return when nothing is left. May be called again."""
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        self._watchers.clear()
        for stage in self._stages(lambda process: process.stop_stage):
            gently = await asyncio.gather(*(child.stop(self._hurry) for child in stage))
            for child, was_gentle in zip(stage, gently, strict=True):
                if not was_gentle:
                    self._report(child, "did not stop in time and was killed")

    def _stages(self, key: Callable[[Process], int]) -> list[list[Child]]:
        ordered = sorted(self.children.values(), key=lambda child: key(child.process))
        grouped = itertools.groupby(ordered, key=lambda child: key(child.process))
        return [list(children) for _, children in grouped]

    def _report(self, child: Child, *words: str) -> None:
        said = "  ".join(word for word in words if word)
        self._say(f"{child.process.name:<{self._width}}  {said}")
