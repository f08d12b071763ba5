"""``grid8 up``: the whole stack on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

import click

from infra.embedded.errors import CannotStartError
from infra.embedded.running import RunningStack
from infra.embedded.stack import stack_of

_INTERRUPTED = 130


@click.command()
def up() -> None:
    """Start servers, gateway, workers and notifier here; Ctrl-C drains and stops them.

    Everything is kept in the data folder (GRID8_DATA_FOLDER, default .grid8), so that
    the next start goes on where this one ended. `grid8 env` lists what can be set;
    GRID8_UP__PORT_BASE moves all ports at once.
    """
    try:
        code = asyncio.run(_up(stack_of(say=_say)))
    except CannotStartError as error:
        click.echo(f"grid8 up: {error}", err=True)
        code = 1
    sys.exit(code)


async def _up(stack: RunningStack) -> int:
    asked = asyncio.Event()
    starting = asyncio.create_task(stack.start())

    def ask() -> None:
        if asked.is_set():
            _say("stopping at once")
            stack.hurry()
            return
        asked.set()
        _say("stopping; once more to hurry")
        starting.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ask)
    try:
        try:
            await starting
        except asyncio.CancelledError:
            _say("stopped")
            return _INTERRUPTED
        _introduce(stack)
        await asked.wait()
    finally:
        await stack.stop()
    _say("stopped")
    return 0


def _introduce(stack: RunningStack) -> None:
    socket = stack.notifier_url.replace("http", "ws", 1)
    mails = stack.mails if stack.layout.owns_smtp else stack.smtp_url
    _say("")
    _say(f"  API        {stack.gateway_url}/v1")
    _say(f"  Docs       {stack.gateway_url}/docs")
    _say(f"  Health     {stack.gateway_url}/health")
    _say(f"  WebSocket  {socket}  (each ticket says its ws_url)")
    _say(f"  Mails      {mails}")
    _say(f"  Logs       {stack.logs}")
    _say("")
    _say("Try: .venv/bin/grid8 demo photo.jpg        Stop: Ctrl-C")


def _say(line: str) -> None:
    # Whoever read the output may have gone; the stack goes on.
    with contextlib.suppress(OSError, ValueError):
        print(line, flush=True)
