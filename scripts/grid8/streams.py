"""``grid8 streams``: a live table of streams and groups."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Sequence

import click
from redis.exceptions import RedisError
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bus.inspection import GroupReport, Inspector, StreamReport
from handlers.topology import INSPECTED
from scripts.grid8.connections import Servers, run, sentence, servers
from scripts.grid8.terminal import print_table, width_of

REFRESH = 1.0
LATE = (10.0, 60.0)
"""Seconds after which an entry that nobody has done is shown yellow, then red."""
LONG = (1_000, 100_000)
"""Unread entries that are shown yellow, then red."""
NARROW = 100
"""Columns below which the table is drawn with shorter words."""
_TITLES = ("LENGTH", "LAG", "PENDING", "OLDEST", "READERS", "IN/S", "DONE/S")
_SHORT = ("LEN", "LAG", "PEND", "OLD", "READ", "IN/S", "DONE/S")


@click.command()
@click.option("--once", is_flag=True, help="Print the table once; so it is without a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one report as JSON.")
def streams(once: bool, as_json: bool) -> None:
    """Watch streams and their groups, live; Ctrl-C ends it.

    LAG is what a group has not read, PENDING what it has read and not acknowledged, OLDEST
    the age of the oldest of both. READERS are its consumers that are alive. IN/S is what is
    added, DONE/S what the group acknowledges. While Redis is away the live table says so, and
    goes on.
    """
    console = Console(highlight=False)
    with contextlib.suppress(KeyboardInterrupt):
        if as_json:
            click.echo(json.dumps(run(_report()), indent=2))
        elif once or not console.is_terminal:
            print_table(table(run(_look_once()), width=width_of(console)))
        else:
            run(_live(console))


async def _report() -> list[dict[str, object]]:
    return [dataclasses.asdict(each) for each in await _look_once()]


async def _look_once() -> list[StreamReport]:
    async with servers(impatient=True) as here:
        return await _look_twice(here)


async def _live(console: Console) -> None:
    async with servers(impatient=True) as here:
        inspector = _inspector(here)
        reports = await inspector.look()
        with Live(console=console, auto_refresh=False) as live:
            away = ""
            while True:
                shown = table(reports, width=console.width)
                live.update(Group(shown, Text(away, style="red")) if away else shown, refresh=True)
                await asyncio.sleep(REFRESH)
                try:
                    reports, away = await inspector.look(), ""
                except RedisError as error:
                    away = f"Redis: {sentence(error)} This is what it was before."


def _inspector(here: Servers) -> Inspector:
    return Inspector(here.redis, INSPECTED, here.settings.notifier.push_shards)


async def _look_twice(here: Servers) -> list[StreamReport]:
    """The second of two looks: rates need two."""
    inspector = _inspector(here)
    await inspector.look()
    await asyncio.sleep(REFRESH / 2)
    return await inspector.look()


def table(reports: Sequence[StreamReport], *, width: int) -> Table:
    """The reports as people read them; streams that do not exist are left out."""
    narrow = width < NARROW
    shown = Table(
        box=None, header_style="bold", pad_edge=False, padding=(0, 1 if narrow else 2, 0, 0)
    )
    for title in ("STREAM", "GROUP"):
        shown.add_column(title, no_wrap=True)
    for title in _SHORT if narrow else _TITLES:
        shown.add_column(title, justify="right", no_wrap=True)
    for report in reports:
        if not report.exists:
            continue
        dead = report.stream.endswith(":dead")
        short = report.stream.removeprefix("grid8:") if narrow else report.stream
        name = Text(short, style="red" if dead and report.length else "")
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
