"""``grid8 dead-letters …``: look at what was given up, mend it, send it again, or drop it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bus.dead_letters.letter import DeadLetter, Wanted
from bus.dead_letters.store import DeadLetters
from handlers.topology import INSPECTED
from scripts.grid8 import letter_access
from scripts.grid8.connections import run
from scripts.grid8.json_input import JsonRefused, parse_json
from scripts.grid8.options import Rate, Since
from scripts.grid8.terminal import print_table, printable, printable_lines, width_of

LISTED = 100
_INTERRUPTED = 130
_COLUMNS = ("LETTER", "AT", "TYPE", "HANDLER", "TRIES", "REASON")
_WIDE = 120
"""Columns of a terminal that has room for all of them."""


@click.group("dead-letters")
def dead_letters() -> None:
    """Look after the messages that were given up.

    A letter is named <domain>/<entry>, as `list` shows it. What is changed here is recorded
    in the collection operator_log, with who did it.
    """


def _choosing(command: Callable[..., None]) -> Callable[..., None]:
    """The options that choose letters."""
    for option in reversed(
        (
            click.option(
                "--domain", multiple=True, type=click.Choice(INSPECTED), help="Only of this domain."
            ),
            click.option("--reason", help="Only with this in the reason."),
            click.option("--type", "type_", help="Only of this wire type; * stands for anything."),
            click.option(
                "--since", type=Since(), help="Not before: a time, or 90s, 30m, 2h, 1d ago."
            ),
            click.option("--until", type=Since(), help="Before: likewise."),
        )
    ):
        command = option(command)
    return command


def _changing(command: Callable[..., None]) -> Callable[..., None]:
    """What a command that changes many takes beside."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    command = click.option("--yes", is_flag=True, help="Do not ask.")(command)
    command = click.option(
        "--all", "all_", is_flag=True, help="All, or all that the options choose."
    )(command)
    return click.argument("ids", nargs=-1)(_choosing(command))


@dead_letters.command("list")
@_choosing
@click.option(
    "--limit", default=LISTED, show_default=True, type=click.IntRange(1), help="Shown at most."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(limit: int, as_json: bool, **chosen: Any) -> None:
    """List letters, oldest first within each domain."""
    rows, more = run(letter_access.listed(limit, **_options(chosen)))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif not rows:
        click.echo("There are no such dead letters.")
    else:
        print_table(_table(rows, width_of(Console())))
    if more:
        click.echo(f"… and {more:,} more: --limit", err=True)


def _table(rows: Sequence[dict[str, Any]], width: int) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    # An id is to be copied, so it is never folded.
    titles = [title for title in _COLUMNS if width >= _WIDE or title not in ("AT", "HANDLER")]
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in ("LETTER", "TRIES"))
    for row in rows:
        cells = {
            "LETTER": row["id"],
            "AT": row["at"],
            "TYPE": (row["type"] or "?") + (" (edited)" if row["edited_by"] else ""),
            "HANDLER": row["handler"],
            "TRIES": str(row["attempts"]),
            "REASON": row["reason"],
        }
        # As Text, because what a message says is no markup.
        table.add_row(*(Text(printable(cells[title])) for title in titles))
    return table


@dead_letters.command()
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(id: str, as_json: bool) -> None:
    """Show one letter: its message, why it is here, and the traceback. Secrets stay sealed."""
    whole = run(letter_access.get(id)).whole()
    if as_json:
        click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    traceback, envelope = whole.pop("traceback"), whole.pop("envelope")
    edits = whole.pop("edits")
    for name, value in whole.items():
        if value not in (None, ""):
            click.echo(f"{name:<12}{printable(str(value))}")
    for edit in edits:
        click.echo(f"{'edit':<12}{edit.get('at')} by {edit.get('by')}: {edit.get('changed')}")
    if envelope is not None:
        click.echo("\nMessage")
        click.echo(printable_lines(json.dumps(envelope, indent=2, ensure_ascii=False)))
    if traceback:
        click.echo("\nTraceback")
        click.echo(printable_lines(traceback))


@dead_letters.command()
@_changing
@click.option("--rate", type=Rate(), help="Letters per second at most, as 50 or 50/s.")
def redrive(
    ids: Sequence[str], all_: bool, yes: bool, as_json: bool, rate: float | None, **chosen: Any
) -> None:
    """Give the group that failed the letters IDS (or --all) once more.

    A command goes back to its stream; an event to the one that only the failed group reads.
    """

    async def act(letters: DeadLetters, letter: DeadLetter) -> str:
        return await letters.redrive(letter)

    _change("Redrive", "redriven", act, ids, all_, yes, as_json, chosen, rate)


@dead_letters.command()
@_changing
def drop(ids: Sequence[str], all_: bool, yes: bool, as_json: bool, **chosen: Any) -> None:
    """Forget the letters IDS (or --all) for good."""

    async def act(letters: DeadLetters, letter: DeadLetter) -> str:
        await letters.drop(letter)
        return letter.entry

    _change("Drop", "dropped", act, ids, all_, yes, as_json, chosen)


@dead_letters.command()
@click.argument("id")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="Take the data from this JSON file (- is stdin) instead of $EDITOR.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def edit(id: str, data: Path | None, as_json: bool) -> None:
    """Change a letter's data, checked against its contract; redrive it afterwards.

    Sealed values are shown as ciphertext, and must stay it.
    """
    letter = run(letter_access.get(id))
    if letter.envelope is None:
        raise click.ClickException(f"{id} cannot be decoded, so it has no data to edit.")
    before = json.dumps(letter.envelope.data, indent=2, ensure_ascii=False)
    if data is not None:
        with click.open_file(str(data), "rb") as file:
            text = file.read()
    elif not sys.stdin.isatty() and not (os.environ.get("VISUAL") or os.environ.get("EDITOR")):
        raise click.ClickException("There is no terminal to edit in: give the data by --data.")
    else:
        text = (click.edit(before, extension=".json") or before).encode()
    try:
        given = parse_json(text)
    except JsonRefused as error:
        raise click.ClickException(str(error)) from error
    if given == letter.envelope.data:
        raise click.ClickException("Nothing was changed.")
    replaced = run(letter_access.edit(letter, given))
    if as_json:
        click.echo(json.dumps(replaced.whole(), indent=2, ensure_ascii=False))
    else:
        click.echo(f"Edited: it is {replaced.id} now. Send it with grid8 dead-letters redrive.")


def _options(chosen: dict[str, Any]) -> dict[str, Any]:
    return {
        "domains": chosen["domain"] or INSPECTED,
        "wanted": Wanted(chosen["reason"], chosen["type_"], chosen["since"], chosen["until"]),
    }


def _change(
    verb: str,
    done: str,
    act: letter_access.Act,
    ids: Sequence[str],
    all_: bool,
    yes: bool,
    as_json: bool,
    chosen: dict[str, Any],
    rate: float | None = None,
) -> None:
    """Find the letters, ask, and act on each; exit code 1 when one of them could not be done."""
    if bool(ids) == all_:
        raise click.UsageError("Name letters, or say --all (with --domain, --reason …).")
    if ids and any(chosen.values()):
        raise click.UsageError("The options choose among --all; letters that are named are named.")
    if ids:
        for id in ids:
            run(letter_access.get(id))  # none is touched when one of them is not there
    else:
        ids = run(letter_access.ids(**_options(chosen)))
    if ids and not yes:
        click.confirm(f"{verb} {len(ids):,} dead letter(s)?", abort=True, err=True)
    results = run(letter_access.each(ids, act, rate))
    failed = [each for each in results if "error" in each]
    left = len(ids) - len(results)
    if as_json:
        click.echo(json.dumps(results, indent=2))
    else:
        for each in failed:
            click.echo(f"{each['id']}: {each['error']}", err=True)
        stopped = f" Stopped before the last {left}." if left else ""
        click.echo(f"{len(results) - len(failed)} {done}, {len(failed)} not.{stopped}")
    sys.exit(_INTERRUPTED if left else 1 if failed else 0)
