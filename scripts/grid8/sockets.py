"""``grid8 sockets``: the connections that are open, at all notifiers."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from rich.table import Table

from bus.pipeline import Pipeline
from infra.presence.sockets import Socket, list_sockets
from scripts.grid8.connections import run, servers
from scripts.grid8.terminal import print_table, printable

SHOWN = 50


@click.command()
@click.option("--org", help="Only those to this organization.")
@click.option("--user", help="Only those of this user or API key.")
@click.option("--limit", default=SHOWN, show_default=True, help="Connections shown, the oldest.")
@click.option("--json", "as_json", is_flag=True, help="Print all of them as JSON.")
def sockets(org: str | None, user: str | None, limit: int, as_json: bool) -> None:
    """Show who is connected, since when, and to which notifier.

    What a killed notifier had is left out as soon as it counts no longer.
    """
    found = [each for each in run(_list()) if org in (None, each.org) and user in (None, each.user)]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
        return
    if found[:limit]:
        print_table(_table(found[:limit]))
    click.echo(_sum(found))


async def _list() -> list[Socket]:
    async with servers(impatient=True) as here:
        return await list_sockets(Pipeline(here.redis).execute_all)


def _table(found: Sequence[Socket]) -> Table:
    shown = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("SINCE", "USER", "ORGANIZATION", "BY", "NOTIFIER"):
        shown.add_column(title, no_wrap=True)
    for each in found:
        since = datetime.fromtimestamp(each.since / 1000, UTC)
        texts = (each.user, each.org, each.transport, each.notifier)
        shown.add_row(f"{since:%Y-%m-%d %H:%M:%S}", *map(printable, texts))
    return shown


def _sum(found: Sequence[Socket]) -> str:
    by = Counter(each.transport for each in found)
    kinds = ", ".join(f"{count:,} {transport}" for transport, count in sorted(by.items()))
    users, notifiers = ({getattr(each, name) for each in found} for name in ("user", "notifier"))
    open_ = f"{len(found):,} open" + (f" ({kinds})" if kinds else "")
    return f"{open_}, of {len(users):,} users, at {len(notifiers):,} notifiers"
