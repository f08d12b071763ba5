"""Reaching the dead letters of the stack: each function connects, does its work, and is done."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import click
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from bus.dead_letters.letter import DeadLetter, EditRefused, NotRedrivable, Wanted
from bus.dead_letters.store import DeadLetters, LetterGone
from scripts.grid8.connections import operator, pause, sentence, servers, stop_on_signals

Act = Callable[[DeadLetters, DeadLetter], Awaitable[str]]
"""What is done to a letter; the id of the entry it has become."""


@asynccontextmanager
async def _opened() -> AsyncIterator[DeadLetters]:
    async with servers() as here:
        yield DeadLetters(here.redis, here.database, by=operator())


async def listed(
    limit: int, domains: Sequence[str], wanted: Wanted
) -> tuple[list[dict[str, Any]], int]:
    """The first of the letters, and how many more there are."""
    rows: list[dict[str, Any]] = []
    more = 0
    async with _opened() as letters:
        async for letter in letters.find(domains, wanted):
            if len(rows) < limit:
                rows.append(letter.summary())
            else:
                more += 1
    return rows, more


async def ids(domains: Sequence[str], wanted: Wanted) -> list[str]:
    """Only the ids, because there may be very many."""
    async with _opened() as letters:
        return [letter.id async for letter in letters.find(domains, wanted)]


async def get(id: str) -> DeadLetter:
    """The letter, or a click.ClickException."""
    async with _opened() as letters:
        try:
            return await letters.get(id)
        except LetterGone as error:
            raise click.ClickException(f"{error}.") from error


async def edit(letter: DeadLetter, data: Any) -> DeadLetter:
    """The letter with other data, or a click.ClickException."""
    async with _opened() as letters:
        try:
            return await letters.edit(letter, data)
        except (EditRefused, LetterGone) as error:
            raise click.ClickException(f"{error}.") from error


async def each(ids: Sequence[str], act: Act, rate: float | None) -> list[dict[str, str]]:
    """What became of each, until Ctrl-C, or until a server is away.

    Not more than ``rate`` letters a second.
    """
    results: list[dict[str, str]] = []
    stop = stop_on_signals()
    due = time.monotonic()
    async with _opened() as letters:
        for id in ids:
            await pause(stop, due - time.monotonic())
            if stop.is_set():
                break
            due = max(due, time.monotonic() - 1) + (1 / rate if rate else 0)
            try:
                results.append({"id": id, "entry": await act(letters, await letters.get(id))})
            except (NotRedrivable, LetterGone) as error:
                results.append({"id": id, "error": str(error)})
            except (RedisError, PyMongoError) as error:
                results.append({"id": id, "error": sentence(error)})
                break
    return results
