"""``grid8 replay …``: feed chosen events to one group, or to one of its reactions, again."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bus.documents import REPLAYS
from bus.replay import run as replays
from bus.replay.source import Log, Selection, Source, Streams, is_of
from contracts.types import new_id, now, rfc3339
from handlers.topology import GROUPS, PUBLISHED, reactions_of, rebuilds_of
from handlers.topology import replays as replayed
from scripts.grid8.connections import Servers, operator, run, servers
from scripts.grid8.options import EventDomain, Rate, Since
from scripts.grid8.terminal import print_table

_INTERRUPTED = 130


@click.command()
@click.option("--group", type=click.Choice(GROUPS), help="Who is given the events.")
@click.option("--reaction", default="", help="Only this reaction of the group, by its name.")
@click.option("--since", type=Since(), help="Not before: a time, or 90s, 30m, 2h, 1d ago.")
@click.option("--until", type=Since(), help="Before: likewise; default: now.")
@click.option(
    "--type",
    "types",
    multiple=True,
    help="Only of this wire type, or those that begin so: custom.*",
)
@click.option("--subject", "subjects", multiple=True, help="Only about what has this id.")
@click.option("--org", "orgs", multiple=True, help="Only of this organization.")
@click.option(
    "--domain", "--stream", "domains", multiple=True, type=EventDomain(PUBLISHED),
    help="Only events of this domain; the name of its stream, grid8:{auth}:evt, will do.",
)  # fmt: skip
@click.option("--from-stream", is_flag=True, help="Read the event streams, not the event log.")
@click.option("--dry-run", is_flag=True, help="Only count, by type.")
@click.option("--rate", type=Rate(), help="Events per second at most, as 50/s.")
@click.option("--ramp", is_flag=True, help="1, 10, 100 …; stop when one of them gives trouble.")
@click.option("--with-effects", is_flag=True, help="Let what reactions emit, send and do happen.")
@click.option("--resume", metavar="REPLAY", help="Go on with a replay that ended early.")
def replay(
    group: str | None,
    resume: str | None,
    dry_run: bool,
    rate: float | None,
    ramp: bool,
    **chosen: Any,
) -> None:
    """Feed chosen events to a group again: to rebuild what it keeps of them.

    Each event is applied once per replay; the events about one subject in their order.
    Documents are changed. What the reactions emit, send or do outside is dropped, unless
    --with-effects is given; then what it emits, and what the notifier shows, has new ids. Ctrl-C stops it; --resume goes on where it stopped. Each replay is
    recorded in the collection replays, with who began it.
    """
    if (group is None) == (resume is None):
        raise click.UsageError("Name either --group or --resume.")
    if resume is not None and any(chosen.values()):
        raise click.UsageError("What is replayed was chosen when it was begun.")
    if chosen["since"] and chosen["until"] and chosen["since"] >= chosen["until"]:
        raise click.UsageError("--since is not before --until: nothing lies between.")
    if group is not None:
        chosen["types"] = _types(group, chosen["reaction"], chosen["types"])
        if group == "notifier" and not chosen["with_effects"] and not dry_run:
            raise click.UsageError(
                "The notifier only shows events: again with --with-effects, else not at all."
            )
    sys.exit(run(_replay(group, resume, dry_run, rate, ramp, chosen)))


def _types(group: str, reaction: str, types: Sequence[str]) -> tuple[str, ...]:
    """The types to select. Raises click.UsageError where nobody would react to them."""
    if group == "notifier":
        if reaction:
            raise click.UsageError("The notifier has no reactions.")
        return tuple(types)
    does = {**reactions_of(group), **rebuilds_of(group)}
    known = {event.wire: name for event, name in does.items()}
    if not known:
        raise click.UsageError(f"{group} reacts to no event.")
    if reaction and reaction not in known.values():
        names = ", ".join(sorted(set(known.values())))
        raise click.UsageError(f"{group} has no reaction {reaction}; it has {names}.")
    wanted = {wire for wire, name in known.items() if reaction in ("", name)}
    for wire in types:
        if not any(is_of(each, wire) for each in wanted):
            raise click.UsageError(
                f"{reaction or group} does not react to {wire}, only to {', '.join(sorted(wanted))}."
            )
    chosen = {each for each in wanted if any(is_of(each, wire) for wire in types)}
    return tuple(sorted(chosen if types else wanted))


async def _replay(
    group: str | None,
    resume: str | None,
    dry_run: bool,
    rate: float | None,
    ramp: bool,
    chosen: dict[str, Any],
) -> int:
    async with servers() as connected:
        record = await _find(connected, resume) if resume else _begin(group or "", chosen)
        source = _source(connected, record)
        if dry_run:
            _count(await source.count())
            return 0
        if resume is None:
            record["total"] = sum((await source.count()).values())
            await connected.database[REPLAYS].insert_one(record)
        click.echo(
            f"{record['_id']}: {record['total']} events to {record['group']}"
            + (f", {record['reaction']} only" if record["reaction"] else "")
            + (", with effects" if record["effects"] else "")
        )
        return await _feed(connected, record, source, rate, ramp)


def _begin(group: str, chosen: dict[str, Any]) -> dict[str, Any]:
    """The record of a new replay."""
    selection = Selection(
        until=chosen["until"] or now(),
        since=chosen["since"],
        **{name: chosen[name] for name in ("types", "subjects", "orgs", "domains")},
    )
    return {
        "_id": new_id("rpl"),
        "by": operator(),
        "at": now(),
        "updated_at": now(),
        "group": group,
        "reaction": chosen["reaction"],
        "effects": chosen["with_effects"],
        "source": "streams" if chosen["from_stream"] else "log",
        "selection": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(selection).items()
        },
        "total": 0,
        "position": {},
        "counts": {"done": 0, "dead": 0, "retried": 0},
        "state": "running",
    }


async def _find(connected: Servers, id: str) -> dict[str, Any]:
    record = await connected.database[REPLAYS].find_one({"_id": id})
    if record is None:
        raise click.ClickException(f"There is no replay {id}.")
    if record["state"] == "done":
        raise click.ClickException(f"{id} has been done, {rfc3339(record['updated_at'])}.")
    return record


def _source(connected: Servers, record: dict[str, Any]) -> Source:
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record["selection"].items()
    }
    selection = Selection(**chosen)
    if record["source"] == "streams":
        return Streams(connected.redis, replayed(record["group"]), selection)
    return Log(connected.database, selection)


def _count(counts: dict[str, int]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("TYPE")
    table.add_column("EVENTS", justify="right")
    for type, count in counts.items():
        table.add_row(type, str(count))
    table.add_row("all", str(sum(counts.values())), style="bold")
    print_table(table)


async def _feed(
    connected: Servers, record: dict[str, Any], source: Source, rate: float | None, ramp: bool
) -> int:
    feeding = replays.Replay(
        record,
        source,
        connected.database,
        connected.redis,
        observing=record["group"] == "notifier",
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, feeding.stop.set)
    columns = (
        TextColumn(record["group"]),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[trouble]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=record["total"], trouble="")

        def report(progress: replays.Progress) -> None:
            trouble = _trouble(progress)
            bar.update(task, completed=progress.done, trouble=trouble)

        report(feeding.progress)
        try:
            state = await feeding.run(rate=rate, ramp=ramp, report=report)
        except replays.NotHandled as error:
            raise click.ClickException(f"{error} Go on with --resume {feeding.id}.") from error
    done = f"{feeding.progress.done} of {record['total']}{_trouble(feeding.progress, ', ')}"
    if state == "done":
        click.echo(f"{feeding.id} done: {done}")
        return 1 if feeding.progress.dead else 0
    why = "stopped" if state == "stopped" else "stopped, because there was trouble"
    click.echo(f"{feeding.id} {why}: {done}. Go on with: grid8 replay --resume {feeding.id}")
    return _INTERRUPTED if state == "stopped" else 1


def _trouble(progress: replays.Progress, before: str = "") -> str:
    """What went wrong so far, in a few words."""
    parts = []
    if progress.retried:
        parts.append(f"{progress.retried} tried again")
    if progress.dead:
        parts.append(f"{progress.dead} given up (grid8 dead-letters list)")
    return before + ", ".join(parts) if parts else ""
