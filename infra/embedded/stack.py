"""The whole stack as data, and a running one to hold on to.

``grid8 up`` and the tests start the same thing::

    async with running_stack(folder) as stack:
        ...  # stack.gateway_url, stack.mongo_url, stack.kill("worker-corp")
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from infra.embedded import mongod, probes, valkey
from infra.embedded.child import Process
from infra.embedded.layout import ROOT, Layout
from infra.embedded.ports import free_port
from infra.embedded.running import RunningStack
from infra.embedded.supervisor import Say

WORKERS = {
    "auth": ("auth",),
    "corp": ("corp",),
    "asset": ("asset",),
    "mail": ("mail", "inbox"),
}
"""Processes of workers, and the domains in each: what tells people of things shares one."""

_SERVERS, _PREPARE, _GRID8 = range(3)  # start stages
# Stop stages: whoever waits for an answer gets it, and whoever would tell of it is still there.
_GATEWAY, _WORKERS, _RELAY, _NOTIFIER, _SINK, _VALKEY, _MONGOD = range(7)
_STOPS_AT = {"gateway": _GATEWAY, "relay": _RELAY, "notifier": _NOTIFIER}
_BEHIND = 5
"""Niceness of what carries out. On a machine that is shared by all, the gateway goes on
accepting and reading under overload, and the streams hold what is not done yet. The notifier
does not stand back: each client it writes to would be woken in its place, and the others wait."""
_PORTS = ("GATEWAY__PORT", "NOTIFIER__PORT", "UP__MONGO_PORT", "UP__REDIS_PORT", "UP__SMTP_PORT")


class Stack:
    """Describes one stack: its `Layout` and, once that is created, its processes."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self.layout = Layout(env)
        self.ops_ports: dict[str, int] = {}

    def servers(self) -> list[Process]:
        """MongoDB and Valkey, as far as they are not the user's own."""
        layout, processes = self.layout, []
        if layout.owns_mongo:
            folder = _folder(layout.folder / "mongo")
            binary = mongod.find()
            processes.append(
                Process(
                    name="mongod",
                    command=mongod.command(
                        binary, layout.mongo_port, folder, layout.up.mongo_cache_gb
                    ),
                    ready=mongod.primary(layout.mongo_port),
                    shown=layout.mongo_url,
                    start_stage=_SERVERS,
                    stop_stage=_MONGOD,
                    deadline=layout.up.ready_timeout,
                    grace=30.0,
                    hurried_grace=3.0,
                )
            )
        if layout.owns_redis:
            folder = _folder(layout.folder / "valkey")
            processes.append(
                Process(
                    name="valkey",
                    command=valkey.command(valkey.find(), layout.redis_port, folder),
                    cwd=folder,
                    ready=probes.redis_ready("127.0.0.1", layout.redis_port),
                    shown=layout.redis_url,
                    start_stage=_SERVERS,
                    stop_stage=_VALKEY,
                    deadline=layout.up.ready_timeout,
                    grace=15.0,
                    hurried_grace=3.0,
                )
            )
        return processes

    def processes(self) -> list[Process]:
        """Everything: servers, mail sink, preparation, gateway, workers, notifier, relay."""
        layout, settings = self.layout, self.layout.settings
        all_of_them = self.servers()
        if layout.owns_smtp:
            all_of_them.append(self._sink())
        all_of_them.append(
            self._grid8("prepare", "handlers", "prepare", once=True, start_stage=_PREPARE)
        )
        all_of_them.append(
            self._grid8(
                "gateway",
                "gateway",
                ready=probes.http_ready(layout.gateway_host, layout.gateway_port),
                shown=layout.gateway_url,
                grace=settings.gateway.drain_grace + 5,
            )
        )
        all_of_them += [
            self._with_ops(f"worker-{name}", *domains, grace=settings.worker.drain_grace + 5)
            for name, domains in WORKERS.items()
        ]
        all_of_them.append(
            self._grid8(
                "notifier",
                "handlers",
                "notifier",
                ready=probes.http_ready(layout.notifier_host, layout.notifier_port),
                shown=layout.notifier_url,
                grace=15.0,
            )
        )
        all_of_them.append(self._with_ops("relay", "relay"))
        return all_of_them

    def _sink(self) -> Process:
        layout = self.layout
        return Process(
            name="mails",
            command=(
                *(sys.executable, "-m", "infra.embedded.smtp_sink"),
                *("--port", str(layout.smtp_port)),
                *("--folder", str(layout.mails)),
            ),
            env=layout.env,
            cwd=ROOT,
            ready=probes.smtp_ready("127.0.0.1", layout.smtp_port),
            shown=layout.smtp_url,
            start_stage=_SERVERS,
            stop_stage=_SINK,
        )

    def _with_ops(self, name: str, *roles: str, grace: float = 10.0) -> Process:
        host = self.layout.ops_host
        port = self.ops_ports.setdefault(name, free_port(host))
        return self._grid8(
            name,
            "handlers",
            *roles,
            ready=probes.http_ready(host, port),
            shown=f"http://{host}:{port}",
            ops_port=port,
            grace=grace,
            niceness=_BEHIND,
        )

    def _grid8(
        self,
        name: str,
        *module: str,
        ready: probes.Probe | None = None,
        shown: str = "",
        ops_port: int = -1,
        once: bool = False,
        grace: float = 10.0,
        start_stage: int = _GRID8,
        niceness: int = 0,
    ) -> Process:
        return Process(
            name=name,
            command=(sys.executable, "-m", *module),
            env={**self.layout.env, "GRID8_OPS__PORT": str(ops_port)},
            cwd=ROOT,
            ready=ready,
            shown=shown,
            once=once,
            start_stage=start_stage,
            stop_stage=_STOPS_AT.get(name, _WORKERS),
            deadline=self.layout.up.ready_timeout,
            grace=grace,
            niceness=niceness,
        )


def running_stack(
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    processes: Callable[[Stack], Sequence[Process]] = Stack.processes,
    say: Say = lambda _line: None,
) -> RunningStack:
    """A stack with its data in this folder, on free ports unless ``env`` names some.

    Use it with ``async with`` or, from code without a loop, with ``with``. ``env`` comes
    on top of this process's environment; naming GRID8_MONGO__URL or GRID8_REDIS__URL
    there uses those servers instead of starting some.
    """
    given = {f"GRID8_{name}": "0" for name in _PORTS}
    stack = Stack({**given, **(env or {}), "GRID8_DATA_FOLDER": str(folder)})
    return RunningStack(stack.layout, lambda: processes(stack), say, lambda: stack.ops_ports)


def running_servers(
    folder: Path, *, env: Mapping[str, str] | None = None, say: Say = lambda _line: None
) -> RunningStack:
    """Only MongoDB and Valkey: ``mongo_url`` and ``redis_url`` are what is of use then."""
    return running_stack(folder, env=env, processes=Stack.servers, say=say)


def stack_of(env: Mapping[str, str] = os.environ, *, say: Say) -> RunningStack:
    """The stack this environment describes, on its default ports: what ``grid8 up`` starts."""
    stack = Stack(env)
    return RunningStack(stack.layout, stack.processes, say, lambda: stack.ops_ports)


def _folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
