"""Connections of a command to the servers of the stack that runs here, or that is set."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import signal
import socket
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from pydantic import ValidationError
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

import contracts.catalog
from bus.broker import connect
from bus.documents import Database
from infra import logs, mongo
from infra.secrets import use_secrets
from infra.settings import Settings, SettingUnknown, settings
from scripts.grid8 import stack_env

assert contracts.catalog, "commands and events are looked up by their wire names"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Servers:
    """Redis and MongoDB, and the settings that say where they are."""

    settings: Settings
    redis: Redis
    database: Database


IMPATIENT = 3.0
"""Seconds that who only looks waits for Redis."""


@asynccontextmanager
async def servers(*, impatient: bool = False) -> AsyncIterator[Servers]:
    """Connect, and let secrets be opened where the keys are set.

    Who is ``impatient`` is told within seconds when Redis does not answer; others outlive its
    restart.
    """
    given = configured()
    logs.configure(given.logs.model_copy(update={"level": "warning"}), process="grid8")
    if given.secrets.keys:
        use_secrets(given)
    timeout = IMPATIENT if impatient else given.redis.socket_timeout
    redis = connect(
        given.redis.url,
        max_connections=8,
        socket_timeout=timeout,
        retries=0 if impatient else 6,
    )
    client, database = mongo.connect(given.mongo)
    try:
        yield Servers(given, redis, database)
    finally:
        await redis.aclose()
        await client.close()


def configured() -> Settings:
    """The settings, or a click.ClickException: no stack runs here and no server is named."""
    running = stack_env.load()
    given = read_settings()
    if not running and "url" not in given.redis.model_fields_set:
        raise click.ClickException(
            "No stack runs here. Start one with ./scripts/up in another terminal, or name its "
            "servers: GRID8_REDIS__URL and GRID8_MONGO__URL."
        )
    return given


def read_settings() -> Settings:
    """The settings, or a click.ClickException that names the wrong one."""
    try:
        return settings()
    except ValidationError as error:
        wrong = error.errors()[0]
        name = "__".join(str(part) for part in wrong["loc"]).upper()
        raise click.ClickException(f"GRID8_{name} is wrong: {wrong['msg']}.") from error
    except SettingUnknown as error:
        raise click.ClickException(str(error)) from error


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end. A server that is away is a click.ClickException of one sentence."""
    try:
        return asyncio.run(work)
    except RedisError as error:
        raise click.ClickException(f"Redis: {sentence(error)}") from error
    except PyMongoError as error:
        raise click.ClickException(f"MongoDB: {sentence(error)}") from error


def operator() -> str:
    """Who runs this command, and where, as the operating system knows them: user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def stop_on_signals() -> asyncio.Event:
    """Set by Ctrl-C or SIGTERM from now on, in place of an exception somewhere."""
    stop = asyncio.Event()
    if threading.current_thread() is threading.main_thread():  # no other is told
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    return stop


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until it is to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def sentence(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
