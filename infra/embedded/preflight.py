"""Looks for what would stop a start before anything is started."""

from __future__ import annotations

import shutil
import sys

from infra.embedded import mongod, valkey
from infra.embedded.errors import CannotStartError
from infra.embedded.layout import Layout
from infra.embedded.ports import holder, is_free

_ENOUGH = "GRID8_DATA_FOLDER moves the data folder"


def check_python() -> None:
    """Raises CannotStartError on a Python that Grid8 does not run on."""
    if not (3, 11) <= sys.version_info < (3, 14):
        raise CannotStartError(
            f"Grid8 needs Python 3.11 to 3.13, and this is {sys.version.split()[0]}: apt-get install python3.11"
        )


def check_folder(layout: Layout) -> None:
    """Raises CannotStartError when the data folder cannot be written or its disk is full."""
    folder = layout.folder
    probe = folder / ".probe"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(b"grid8")
        probe.unlink()
    except OSError as error:
        raise CannotStartError(
            f"The data folder {folder} cannot be written ({error.strerror}); {_ENOUGH}."
        ) from error
    free = shutil.disk_usage(folder).free
    if free < layout.up.free_disk:
        raise CannotStartError(
            f"Only {_size(free)} are free where {folder} is, and at least {_size(layout.up.free_disk)} "
            f"are wanted: free some, or move it; {_ENOUGH}."
        )


def check_binaries(layout: Layout) -> None:
    """Raises CannotStartError when an embedded server that is wanted cannot run here."""
    if layout.owns_mongo:
        mongod.version(mongod.find())
    if layout.owns_redis:
        valkey.version(valkey.find())


def check_ports(layout: Layout, *, servers_only: bool = False) -> None:
    """Raises CannotStartError naming the first port that is taken and how to move it."""
    wanted: list[tuple[str, str, int, str]] = []
    if not servers_only:
        hosts = layout.settings
        wanted += [
            ("gateway", hosts.gateway.host, layout.gateway_port, "GRID8_GATEWAY__PORT"),
            ("notifier", hosts.notifier.host, layout.notifier_port, "GRID8_NOTIFIER__PORT"),
        ]
        if layout.owns_smtp:
            wanted.append(("SMTP sink", "127.0.0.1", layout.smtp_port, "GRID8_UP__SMTP_PORT"))
    if layout.owns_mongo:
        wanted.append(("MongoDB", "127.0.0.1", layout.mongo_port, "GRID8_UP__MONGO_PORT"))
    if layout.owns_redis:
        wanted.append(("Valkey", "127.0.0.1", layout.redis_port, "GRID8_UP__REDIS_PORT"))
    seen: dict[int, str] = {}
    for _, _, port, variable in wanted:
        if port in seen:
            raise CannotStartError(f"{seen[port]} and {variable} both say port {port}; move one.")
        seen[port] = variable
    for who, host, port, variable in wanted:
        try:
            free = is_free(host, port)
        except OSError as error:
            raise CannotStartError(
                f"The {who} cannot bind {host}:{port} ({error.strerror}); {variable} moves it."
            ) from error
        if not free:
            by = holder(port)
            raise CannotStartError(
                f"Port {port} of the {who} is taken{f' by {by}' if by else ''}; "
                f"{variable} moves it, GRID8_UP__PORT_BASE moves all."
            )


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"
