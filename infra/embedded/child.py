"""One child process: how it is described, started, asked whether it is ready, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.embedded.errors import CannotStartError
from infra.embedded.probes import Probe

_POLL = 0.05
_PROBE_TIMEOUT = 5.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True)
class Process:
    """What the supervisor needs to know of one process.

    Processes of one ``start_stage`` start together, once all of lower stages are ready;
    those of one ``stop_stage`` are asked to stop together, lower stages first.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: Path | None = None
    ready: Probe | None = None
    shown: str = ""
    once: bool = False
    """A task rather than a server: it must end with exit code 0 before the next stage starts."""
    start_stage: int = 0
    stop_stage: int = 0
    deadline: float = 60.0
    """Seconds it may take to become ready."""
    grace: float = 10.0
    """Seconds between SIGTERM and SIGKILL."""
    hurried_grace: float = 0.0
    """The same when someone is in a hurry."""


def die_with_parent() -> Callable[[], None]:
    """A ``preexec_fn`` (or process pool initializer) that has the kernel kill the child with its parent.

    Call it in the parent, and start the child from a thread that lives as long as the
    parent: the kernel goes by the thread. Only Linux can; elsewhere it does nothing.
    """
    return functools.partial(_arm, os.getpid())


def _arm(parent: int) -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


class Child:
    """A process of the stack and its current incarnation. Belongs to one supervisor."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self.log = log
        self.ready = False
        self.generation = 0
        """How often it was started."""
        self.ready_since = 0.0
        self._running: asyncio.subprocess.Process | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """The process id of the current incarnation; ProcessLookupError when there is none."""
        if self._running is None or self._running.returncode is not None:
            raise ProcessLookupError(f"{self.process.name} is not running")
        return self._running.pid

    @property
    def exit_code(self) -> int | None:
        """How the last incarnation ended, negative for a signal; None while it runs."""
        return self._running.returncode if self._running is not None else None

    async def spawn(self) -> None:
        """Start it; CannotStartError when the program cannot be run at all."""
        self.ready = False
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            try:
                self._running = await asyncio.create_subprocess_exec(
                    *self.process.command,
                    env=self.process.env,
                    cwd=self.process.cwd,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # A group of its own: a Ctrl-C in the terminal reaches the supervisor alone.
                    start_new_session=True,
                    umask=0o077,
                    preexec_fn=die_with_parent(),
                )
            except OSError as error:
                raise CannotStartError(f"{self.process.name} cannot be run: {error}") from error
        self.generation += 1

    async def wait_ready(self) -> float:
        """Wait until it is ready (a task: until it ended well); returns the seconds it took.

        Raises CannotStartError with the reason and its last words otherwise.
        """
        assert self._running is not None
        began = time.monotonic()
        while True:
            if self._running.returncode is None and not self.process.once and await self._ask():
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._running.wait(), _POLL)
            code = self._running.returncode
            if code == 0 and self.process.once:
                break
            if code is not None:
                raise self._failure(ended(code))
            if time.monotonic() - began > self.process.deadline:
                raise self._failure(f"was not ready within {self.process.deadline:g} s")
        self.ready_since = time.monotonic()
        self.ready = True
        return self.ready_since - began

    async def _ask(self) -> bool:
        if self.process.ready is None:
            return True
        try:
            return await asyncio.wait_for(self.process.ready(), _PROBE_TIMEOUT)
        except (OSError, TimeoutError):
            return False

    async def wait(self) -> int:
        """Wait for its end; returns the exit code, negative for a signal."""
        assert self._running is not None
        code = await self._running.wait()
        self.ready = False
        self._sweep()
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def stop(self, hurry: asyncio.Event) -> bool:
        """End it: SIGTERM, then SIGKILL after its grace. False when it had to be killed."""
        if self._running is None:
            return True
        gently = True
        if self._running.returncode is None:
            self.signal(signal.SIGTERM)
            gently = await self._leaves(hurry)
            if not gently:
                self.signal(signal.SIGKILL)
            await self._running.wait()
        self.ready = False
        self._sweep()
        return gently

    async def _leaves(self, hurry: asyncio.Event) -> bool:
        assert self._running is not None
        leaving = asyncio.ensure_future(self._running.wait())
        hurried = asyncio.ensure_future(hurry.wait())
        try:
            await asyncio.wait(
                {leaving, hurried},
                timeout=self.process.grace,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if hurried.done() and not leaving.done():
                await asyncio.wait({leaving}, timeout=self.process.hurried_grace)
            return leaving.done()
        finally:
            leaving.cancel()
            hurried.cancel()

    def _sweep(self) -> None:
        """What the process itself started ends with it."""
        assert self._running is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._running.pid, signal.SIGKILL)

    def _failure(self, what: str) -> CannotStartError:
        words = self.last_words()
        said = f"; the end of {self.log}:\n{words}" if words else f"; {self.log} is empty"
        return CannotStartError(f"{self.process.name} {what}{said}")

    def last_words(self, count: int = 8) -> str:
        """The last lines this incarnation logged, errors only where the log marks them."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - 64 * 1024))
            lines = log.read().decode(errors="replace").splitlines()
            # A traceback's underlining says nothing without its place on the screen.
            lines = [line.rstrip() for line in lines if line.strip(" ^~")]
            marked = [line for line in lines if _is_error(line)]
            return "\n".join(f"  {line[:400]}" for line in (marked or lines)[-count:])
        return ""


def ended(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        try:
            return f"ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"ended by signal {-code}"
    return f"ended with exit code {code}"


def _is_error(line: str) -> bool:
    """Whether this is an error of mongod, whose log is JSON with a severity."""
    if not line.startswith("{"):
        return False
    try:
        return json.loads(line).get("s") in {"E", "F"}
    except ValueError:
        return False
