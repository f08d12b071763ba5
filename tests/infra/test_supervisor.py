"""The supervisor, with small scripts in place of Grid8's processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import probes
from infra.embedded.child import Process
from infra.embedded.errors import CannotStartError
from infra.embedded.ports import free_port, is_free
from infra.embedded.supervisor import Supervisor

ROOT = Path(__file__).parents[2]

# Serves, notes when it is asked to stop, and takes `linger` seconds to comply.
SERVER = """
import os, signal, socket, sys, time
name, port, notes, linger = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
def leave(*_):
    open(notes, "a").write(f"{name}\\n")
    time.sleep(linger)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
server = socket.create_server(("127.0.0.1", port))
print("serving", flush=True)
while True:
    peer, _ = server.accept()
    with peer:
        peer.recv(1000)
        peer.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
"""


class Scripts:
    """Describes processes that run scripts of this test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.notes.touch()

    def server(self, name: str, *, linger: float = 0, **given: Any) -> Process:
        port = free_port()
        return self.script(
            name,
            SERVER,
            *(name, str(port), str(self.notes), str(linger)),
            **{"ready": probes.http_ready("127.0.0.1", port), "shown": f"port {port}", **given},
        )

    def script(self, name: str, code: str, *arguments: str, **given: Any) -> Process:
        file = self.folder / f"{name}.py"
        file.write_text(textwrap.dedent(code))
        return Process(
            name=name, command=(sys.executable, str(file), *arguments), **{"deadline": 20, **given}
        )


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path)


def supervisor(scripts: Scripts, *processes: Process) -> tuple[Supervisor, list[str]]:
    lines: list[str] = []
    return Supervisor(processes, scripts.folder / "logs", lines.append), lines


async def until(truth: Callable[[], bool], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not truth():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


async def never_ready() -> bool:
    return False


def gone(pid: int) -> bool:
    try:
        # A process that ended but was not waited for still has an id.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


async def test_processes_start_stage_by_stage_and_stop_in_the_order_given(scripts: Scripts) -> None:
    made = scripts.folder / "made"
    running, lines = supervisor(
        scripts,
        scripts.server("worker", start_stage=2, stop_stage=0),
        scripts.script("prepare", f"open({str(made)!r}, 'x')", once=True, start_stage=1),
        scripts.server("server", start_stage=0, stop_stage=1),
    )
    await running.start()
    assert made.exists()
    assert [line.split()[:2] for line in lines] == [
        ["server", "ready"],
        ["prepare", "done"],
        ["worker", "ready"],
    ]
    pids = [running.children[name].pid for name in ("worker", "server")]
    await running.stop()
    assert scripts.notes.read_text().split() == ["worker", "server"]
    assert all(gone(pid) for pid in pids)


async def test_a_crashed_process_is_restarted_and_one_line_says_so(scripts: Scripts) -> None:
    running, lines = supervisor(scripts, scripts.server("worker"))
    await running.start()
    try:
        child = running.children["worker"]
        for count in (2, 3):
            os.kill(child.pid, signal.SIGKILL)
            await until(lambda count=count: child.generation == count and child.ready)  # type: ignore[misc]
    finally:
        await running.stop()
    said = [line for line in lines if "restarting" in line]
    assert ["0.2 s" in said[0], "0.4 s" in said[1]] == [True, True], "the wait doubles"
    assert all("ended by SIGKILL" in line for line in said)
    assert sum("ready again" in line for line in lines) == 2


async def test_a_process_that_ends_before_it_is_ready_aborts_the_start_with_its_last_words(
    scripts: Scripts,
) -> None:
    fine = scripts.server("fine", start_stage=0)
    bad = scripts.script(
        "bad", "print('no licence'); raise SystemExit(3)", start_stage=1, ready=never_ready
    )
    never = scripts.server("never", start_stage=2)
    running, _ = supervisor(scripts, fine, bad, never)
    with pytest.raises(CannotStartError, match=r"bad ended with exit code 3.*\n.*no licence"):
        await running.start()
    assert scripts.notes.read_text().split() == ["fine"], "what had started was stopped"
    assert running.children["never"].generation == 0


async def test_a_process_that_is_not_ready_in_time_aborts_the_start(scripts: Scripts) -> None:
    running, _ = supervisor(scripts, scripts.server("slow", ready=never_ready, deadline=1.0))
    with pytest.raises(CannotStartError, match="slow was not ready within 1 s"):
        await running.start()
    with pytest.raises(ProcessLookupError):
        _ = running.children["slow"].pid


async def test_a_task_that_fails_aborts_the_start(scripts: Scripts) -> None:
    running, _ = supervisor(scripts, scripts.script("prepare", "raise SystemExit(1)", once=True))
    with pytest.raises(CannotStartError, match="prepare ended with exit code 1"):
        await running.start()


async def test_a_program_that_cannot_be_run_aborts_the_start(scripts: Scripts) -> None:
    running, _ = supervisor(scripts, Process(name="ghost", command=("/nonexistent/program",)))
    with pytest.raises(CannotStartError, match="ghost cannot be run"):
        await running.start()


async def test_a_start_that_is_cancelled_leaves_nothing_running(scripts: Scripts) -> None:
    running, _ = supervisor(scripts, scripts.server("slow", ready=never_ready))
    starting = asyncio.create_task(running.start())
    child = running.children["slow"]
    await until(lambda: child.generation == 1 and "serving" in child.last_words())
    pid = child.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert gone(pid)


async def test_a_process_that_ignores_its_grace_is_killed(scripts: Scripts) -> None:
    running, lines = supervisor(scripts, scripts.server("stubborn", linger=60, grace=0.3))
    await running.start()
    pid = running.children["stubborn"].pid
    await running.stop()
    assert gone(pid)
    assert "did not stop in time and was killed" in lines[-1]


async def test_hurrying_cuts_the_grace_short(scripts: Scripts) -> None:
    running, _ = supervisor(scripts, scripts.server("slow", linger=60, grace=60))
    await running.start()
    stopping = asyncio.create_task(running.stop())
    await until(lambda: scripts.notes.read_text() == "slow\n")
    assert not stopping.done()
    running.hurry()
    await asyncio.wait_for(stopping, 10)


async def test_what_a_process_started_ends_with_it(scripts: Scripts) -> None:
    parent = """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(child.pid, flush=True)
        time.sleep(600)
        """
    running, _ = supervisor(scripts, scripts.script("pool", parent))
    await running.start()
    child = running.children["pool"]
    await until(lambda: child.last_words().strip().isdigit())
    grandchild = int(child.last_words())
    await running.stop()
    await until(lambda: gone(grandchild))


async def test_a_held_process_stays_down_until_released(scripts: Scripts) -> None:
    running, lines = supervisor(scripts, scripts.server("worker"))
    await running.start()
    try:
        await running.hold("worker")
        assert not running.children["worker"].ready
        await running.release("worker")
        assert running.children["worker"].generation == 2
        assert not any("restarting" in line for line in lines)
    finally:
        await running.stop()


async def test_output_goes_to_a_log_and_the_previous_one_is_kept(scripts: Scripts) -> None:
    logs = scripts.folder / "logs"
    logs.mkdir()
    (logs / "worker.log").write_text("from before\n")
    running, _ = supervisor(scripts, scripts.server("worker"))
    await running.start()
    await running.stop()
    assert (logs / "worker.log").read_text() == "serving\n"
    assert (logs / "worker.log.1").read_text() == "from before\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
async def test_children_die_with_a_supervisor_that_is_killed(scripts: Scripts) -> None:
    port = free_port()
    server = scripts.folder / "server.py"
    server.write_text(SERVER)
    arguments = (str(server), "worker", str(port), str(scripts.notes), "0")
    outer = scripts.folder / "outer.py"
    outer.write_text(
        textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from infra.embedded import probes
        from infra.embedded.child import Process
        from infra.embedded.supervisor import Supervisor

        async def main():
            worker = Process(
                name="worker",
                command=(sys.executable, *{arguments!r}),
                ready=probes.http_ready("127.0.0.1", {port}),
            )
            running = Supervisor([worker], Path({str(scripts.folder)!r}) / "logs", print)
            await running.start()
            print(running.children["worker"].pid, flush=True)
            await asyncio.sleep(600)

        asyncio.run(main())
        """)
    )
    outside = await asyncio.create_subprocess_exec(
        sys.executable,
        str(outer),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert outside.stdout is not None
    ready = await asyncio.wait_for(outside.stdout.readline(), 20)
    assert ready.split()[:2] == [b"worker", b"ready"]
    pid = int(await outside.stdout.readline())
    outside.kill()
    await outside.wait()
    await until(lambda: gone(pid))
    assert is_free("127.0.0.1", port)
