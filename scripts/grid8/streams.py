"""``grid8 streams``: a live table of streams and groups."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Sequence

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bus.inspection import GroupReport, Inspector, StreamReport
from handlers.topology import INSPECTED
from scripts.grid8.connections import Servers, run, servers

REFRESH = 1.0
LATE = (10.0, 60.0)
"""Seconds after which an entry that nobody has done is shown yellow, then red."""
LONG = (1_000, 100_000)
"""Unread entries that are shown yellow, then red."""


@click.command()
@click.option("--once", is_flag=True, help="Print the table once; so it is without a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one report as JSON.")
def streams(once: bool, as_json: bool) -> None:
    """Watch streams and their groups, live; Ctrl-C ends it.

    LAG is what a group has not read, PENDING what it has read and not acknowledged, OLDEST
    the age of the oldest of both. IN/S is what is added, DONE/S what the group acknowledges.
    """
    console = Console()
    with contextlib.suppress(KeyboardInterrupt):
        if as_json:
            console.print_json(json.dumps(run(_report())))
        elif once or not console.is_terminal:
            run(_once(console))
        else:
            run(_live(console))


async def _report() -> list[dict[str, object]]:
    async with servers() as here:
        return [dataclasses.asdict(each) for each in await _look_twice(here)]


async def _once(console: Console) -> None:
    async with servers() as here:
        console.print(table(await _look_twice(here)))


async def _live(console: Console) -> None:
    async with servers() as here:
        inspector = _inspector(here)
        with Live(table(await inspector.look()), console=console, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(REFRESH)
                live.update(table(await inspector.look()), refresh=True)


def _inspector(here: Servers) -> Inspector:
    return Inspector(here.redis, INSPECTED, here.settings.notifier.push_shards)


async def _look_twice(here: Servers) -> list[StreamReport]:
    """The second of two looks: rates need two."""
    inspector = _inspector(here)
    await inspector.look()
    await asyncio.sleep(REFRESH / 2)
    return await inspector.look()


def table(reports: Sequence[StreamReport]) -> Table:
    """The reports as people read them; streams that do not exist are left out."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("STREAM", "GROUP"):
        shown.add_column(title, no_wrap=True)
    for title in ("LENGTH", "LAG", "PENDING", "OLDEST", "READERS", "IN/S", "DONE/S"):
        shown.add_column(title, justify="right", no_wrap=True)
    for report in reports:
        if not report.exists:
            continue
        dead = report.stream.endswith(":dead")
        name = Text(report.stream, style="red" if dead and report.length else "")
        head = (name, f"{report.length:,}", _rate(report.adds_per_second))
        if not report.groups:
            age = _age(report.oldest, (0.0, 0.0)) if dead else Text("")
            shown.add_row(head[0], "", head[1], "", "", age, "", head[2], "")
        for index, group in enumerate(report.groups):
            stream, length, added = head if index == 0 else (Text(""), "", "")
            shown.add_row(
                stream, group.name, length, *_cells(group), added, _rate(group.acks_per_second)
            )
    return shown


def _cells(group: GroupReport) -> tuple[Text, Text, Text, Text]:
    waiting = group.lag + group.pending
    return (
        _graded(f"{group.lag:,}", group.lag, LONG),
        Text(f"{group.pending:,}"),
        _age(group.oldest, LATE),
        Text(str(group.readers), style="red" if waiting and not group.readers else ""),
    )


def _graded(text: str, value: float, levels: tuple[float, float]) -> Text:
    style = "red" if value > levels[1] else "yellow" if value > levels[0] else ""
    return Text(text, style=style)


def _age(seconds: float | None, levels: tuple[float, float]) -> Text:
    if seconds is None:
        return Text("–")
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return _graded(f"{seconds / size:.0f} {unit}", seconds, levels)
    return _graded(f"{seconds:.1f} s", seconds, levels)


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.0f}"
