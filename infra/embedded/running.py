"""A stack that runs: its URLs, and a hand on each of its processes."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from infra.embedded import preflight, state
from infra.embedded.child import Child, Process
from infra.embedded.layout import Layout
from infra.embedded.supervisor import Say, Supervisor


class RunningStack:
    """Starts what it was given on entry and stops it on exit, with ``async with`` or ``with``.

    Entry raises CannotStartError, with nothing left running, when it cannot start.
    """

    def __init__(
        self,
        layout: Layout,
        processes: Callable[[], Sequence[Process]],
        say: Say,
        ops_ports: Callable[[], Mapping[str, int]],
    ) -> None:
        self.layout = layout
        self.gateway_url = layout.gateway_url
        self.notifier_url = layout.notifier_url
        self.mongo_url = layout.mongo_url
        self.redis_url = layout.redis_url
        self.smtp_url = layout.smtp_url
        self.mails = layout.mails
        self.logs = layout.logs
        self._describe = processes
        self._say = say
        self._ops_ports = ops_ports
        self._supervisor: Supervisor | None = None
        self._hurried = False
        self._killed: dict[str, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._held = ExitStack()
        self._started = False

    @property
    def env(self) -> dict[str, str]:
        """The environment its processes run with."""
        return self.layout.env

    def ops_url(self, name: str) -> str:
        """Where a worker or the relay answers /health, /ready and /metrics."""
        return f"http://{self.layout.ops_host}:{self._ops_ports()[name]}"

    def process(self, name: str) -> Child:
        """One of its processes: ``pid``, ``ready``, ``generation``, ``log``."""
        assert self._supervisor is not None, "the stack has not been started"
        return self._supervisor.children[name]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one process; returns the process id it had."""
        child = self.process(name)
        pid = child.pid
        self._killed[name] = child.generation
        child.signal(number)
        return pid

    async def restarted(self, name: str, timeout: float = 60.0) -> Child:
        """Wait until a process that was killed is ready again."""
        child = self.process(name)
        since = self._killed.get(name, child.generation)
        deadline = time.monotonic() + timeout
        while not (child.ready and child.generation > since):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{name} did not come back within {timeout:g} s:\n{child.last_words()}"
                )
            await asyncio.sleep(0.02)
        return child

    async def hold(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End one process and keep it down until it is released."""
        assert self._supervisor is not None
        await self._in_loop(self._supervisor.hold(name, number))

    async def release(self, name: str) -> None:
        """Start a process that is held, and wait until it is ready."""
        assert self._supervisor is not None
        await self._in_loop(self._supervisor.release(name))

    async def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        if asyncio.get_running_loop() is self._loop:
            await work
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def hurry(self) -> None:
        """Do not wait out graces when stopping; the loop's own thread only."""
        self._hurried = True
        if self._supervisor is not None:
            self._supervisor.hurry()

    async def start(self) -> None:
        """Check, start everything, and write ``stack.env``."""
        self._loop = asyncio.get_running_loop()
        layout = self.layout
        preflight.check_python()
        preflight.check_folder(layout)
        with ExitStack() as undo:
            undo.enter_context(state.Lock(layout.folder))
            layout.stack_env.unlink(missing_ok=True)
            preflight.check_binaries(layout)
            layout.create()
            processes = self._describe()
            serves = any(process.name == "gateway" for process in processes)
            preflight.check_ports(layout, servers_only=not serves)
            self._supervisor = Supervisor(processes, layout.logs, self._say)
            if self._hurried:
                self._supervisor.hurry()
            await self._supervisor.start()
            ops = ",".join(f"{name}={port}" for name, port in self._ops_ports().items())
            sink = {state.MAILS: str(layout.mails)} if layout.owns_smtp else {}
            state.write(layout.stack_env, {**layout.env, state.OPS_PORTS: ops, **sink})
            self._held = undo.pop_all()
            self._started = True

    async def stop(self) -> None:
        """Drain and stop everything; returns when nothing is left."""
        if self._started:
            self.layout.stack_env.unlink(missing_ok=True)
        if self._supervisor is not None:
            await self._supervisor.stop()
        self._held.close()
        self._started = False

    async def __aenter__(self) -> RunningStack:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def __enter__(self) -> RunningStack:
        # The kernel counts the death of the thread that started a child as its parent's
        # death, so one thread has to live as long as the stack does.
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="stack", daemon=True)
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(self.start(), loop)
        try:
            starting.result()
        except BaseException:
            starting.cancel()
            self._end_thread(loop)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        self._end_thread(self._loop)

    def _end_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._thread is not None
        asyncio.run_coroutine_threadsafe(self.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()
