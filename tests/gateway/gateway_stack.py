"""One running gateway with its workers, shared by the tests of the gateway and the journeys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from infra.embedded.child import Process
from infra.embedded.ports import free_port
from infra.embedded.probes import http_ready
from infra.embedded.running import RunningStack
from infra.embedded.stack import Stack, running_stack

T = TypeVar("T")

ORIGIN = "https://studio.example"
SMALL_LIMIT = 100_000
"""Bytes that the second gateway takes as an upload."""
ROLES = ("auth", "corp", "asset", "mail", "inbox", "relay")

UNLIMITED = {
    "GRID8_LIMITS__CALLER": "0",
    "GRID8_LIMITS__ADDRESS": "0",
    "GRID8_LIMITS__IDENTITY": "0",
}
"""Tests and load come from one address, and often from one caller."""

QUICK = {
    **UNLIMITED,
    # All the tests come from one address.
    "GRID8_AUTH__ATTEMPTS_FREE_ADDRESS": "1000000",
    "GRID8_AUTH__ATTEMPTS_FREE": "5",
    "GRID8_AUTH__BCRYPT_COST": "4",
    "GRID8_AUTH__KEY_PUBLISHED": "3",
    "GRID8_GATEWAY__CORS_ORIGINS": ORIGIN,
    "GRID8_GATEWAY__DRAIN_GRACE": "1",
    "GRID8_WORKER__DRAIN_GRACE": "5",
    "GRID8_RELAY__GRACE": "1",
    "GRID8_ASSETS__FREE_DISK": "0",
}


def few_processes(
    stack: Stack, *, servers: Sequence[str] = (), roles: Sequence[str] = ROLES
) -> list[Process]:
    """prepare, a gateway (and one that takes only small uploads), one process for all workers, a mail sink."""
    layout = stack.layout
    found = [each for each in stack.servers() if each.name in servers]
    found.append(stack._grid8("prepare", "handlers", "prepare", once=True, start_stage=1))
    found.append(
        stack._grid8(
            "gateway",
            "gateway",
            ready=http_ready(layout.gateway_host, layout.gateway_port, "/health"),
        )
    )
    if "relay" in roles:
        port = free_port()
        env = {"GRID8_GATEWAY__PORT": str(port), "GRID8_ASSETS__UPLOAD_LIMIT": str(SMALL_LIMIT)}
        small = stack._grid8("gateway-small", "gateway", ready=http_ready("127.0.0.1", port))
        found.append(replace(small, env={**small.env, **env}, shown=f"http://127.0.0.1:{port}"))
    if "mail" in roles:
        found.append(stack._sink())
    if roles:
        port = free_port()
        found.append(
            stack._grid8(
                "workers", "handlers", *roles, ready=http_ready("127.0.0.1", port), ops_port=port
            )
        )
    if "auth" in roles:
        found.append(
            stack._grid8(
                "notifier",
                "handlers",
                "notifier",
                ready=http_ready(layout.notifier_host, layout.notifier_port),
            )
        )
    return found


SHARED = pytest.StashKey[RunningStack]()


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest, servers: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    """The stack; started once, also when two folders of tests import this fixture."""
    stash = request.config.stash
    if SHARED in stash:
        yield stash[SHARED]
        return
    env = {
        **QUICK,
        "GRID8_MONGO__URL": servers.mongo_url,
        "GRID8_MONGO__DATABASE": "gateway_tests",
        "GRID8_REDIS__URL": servers.redis_url.removesuffix("/0") + "/5",
    }
    folder = tmp_path_factory.mktemp("gateway")
    with running_stack(folder, env=env, processes=few_processes) as running:
        stash[SHARED] = running
        yield running
        del stash[SHARED]


class GatewayLog:
    """The gateway's log since some moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from = path.stat().st_size if path.exists() else 0

    def text(self) -> str:
        """What was logged since."""
        with self._path.open("rb") as file:
            file.seek(self._from)
            return file.read().decode(errors="replace")


@pytest.fixture(autouse=True)
def no_internal_error(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test sends: the gateway never meets an exception it did not expect."""
    if "stack" not in request.fixturenames:
        yield
        return
    log = GatewayLog(request.getfixturevalue("stack").logs / "gateway.log")
    yield
    if request.node.get_closest_marker("xfail"):
        return
    said = "\n".join(line for line in log.text().splitlines() if "│" not in line)
    at = max(said.find("request_failed"), said.find("Traceback"))
    assert at < 0, f"the gateway logged an unexpected exception:\n{said[at - 300 : at + 6000]}"


async def eventually(
    what: Callable[[], Awaitable[T]], fits: Callable[[T], Any] = bool, *, within: float = 15.0
) -> T:
    """The first answer that fits; fails when none does in time."""
    deadline = time.monotonic() + within
    while True:
        answer = await what()
        if fits(answer):
            return answer
        assert time.monotonic() < deadline, f"still {str(answer)[:2000]} after {within:g} s"
        await asyncio.sleep(0.05)


def _lines(path: Path) -> Iterator[str]:
    for line in path.read_text(errors="replace").splitlines():
        if "│" not in line:
            yield line


def show_logs(running: RunningStack) -> str:
    """The last lines of every log."""
    return "\n".join(
        f"--- {path.name}\n" + "\n".join(list(_lines(path))[-25:])
        for path in sorted(running.logs.glob("*.log"))
    )


__all__ = ["no_internal_error", "stack"]
