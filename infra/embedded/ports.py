"""TCP ports: which are free, and who holds one that is not."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterator
from pathlib import Path

_given: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody holds, never the same one twice in this process.

    It lies below the range the kernel draws outgoing connections from: a port of that
    range could be gone by the time the server binds it, or while a crashed one restarts.
    """
    top = _first_ephemeral_port()
    for _ in range(500):
        port = random.randrange(10_240, top)  # noqa: S311
        if port not in _given and is_free(host, port):
            _given.add(port)
            return port
    raise OSError(errno.EADDRINUSE, f"no free port found on {host}")


def is_free(host: str, port: int) -> bool:
    """Whether a server could bind this address now.

    Raises OSError when the address itself is the trouble: not of this machine, or a
    port that needs more rights.
    """
    for family, kind, proto, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
                # Two sockets may share a bound address under SO_REUSEADDR until one listens.
                probe.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return False
                raise
    return True


def holder(port: int) -> str | None:
    """Who listens on this port, as ``name (pid 12)``; None when that cannot be told."""
    inodes = set(_listening_inodes(port))
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            held = any(_target(fd) in wanted for fd in (process / "fd").iterdir())
            if held:
                name = (process / "comm").read_text().strip()
                return f"{name} (pid {process.name})"
        except OSError:
            continue
    return None


def _target(link: Path) -> str:
    """What a descriptor is; nothing when it has been closed since it was listed."""
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _first_ephemeral_port() -> int:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        first = 32_768
    return max(first, 12_000)
