"""What a running stack leaves in its data folder for others: a lock, and ``stack.env``."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from infra.embedded.errors import CannotStartError

PID = "GRID8_UP__PID"
OPS_PORTS = "GRID8_UP__OPS_PORTS"
MAILS = "GRID8_UP__MAILS"
"""The folder of the stack's own mail sink; not there where another server takes the mails."""


class Lock:
    """Held by the one stack that uses a data folder; the kernel lets go of it when its holder dies."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._fd: int | None = None

    def __enter__(self) -> Lock:
        """Raises CannotStartError when another process holds it."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            held_by = os.read(fd, 32).decode(errors="replace").strip()
            os.close(fd)
            by = f" (pid {held_by})" if held_by else ""
            raise CannotStartError(
                f"Another stack{by} uses {self._path.parent}: stop it, or set GRID8_DATA_FOLDER "
                "and GRID8_UP__PORT_BASE to run beside it."
            ) from error
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def write(file: Path, env: Mapping[str, str]) -> None:
    """Write Grid8's variables of this environment, and this process's id, as KEY=VALUE lines."""
    lines = [
        f"{name}={value}\n"
        for name, value in sorted({**env, PID: str(os.getpid())}.items())
        if name.startswith("GRID8_") and "\n" not in value
    ]
    draft = file.with_name(f".{file.name}.part")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.writelines(lines)
    draft.replace(file)


def read(file: Path) -> dict[str, str]:
    """The variables of the stack that runs in this folder; empty when none runs."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    env = dict(line.split("=", 1) for line in lines if "=" in line)
    # A stack that was killed left its file behind.
    return env if _lives(env.get(PID, "")) and _locked(file.parent / "lock") else {}


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ValueError, OSError):
        return False
    return True


def _locked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False
