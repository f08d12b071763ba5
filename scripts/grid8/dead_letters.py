"""``grid8 dead-letters …``: look at what was given up, mend it, send it again, or drop it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bus.dead_letters import DeadLetters, LetterGone
from bus.letters import DeadLetter, EditRefused, NotRedrivable, Wanted
from handlers.topology import INSPECTED
from scripts.grid8.connections import operator, run, servers
from scripts.grid8.options import Rate, Since

LISTED = 100
Act = Callable[[DeadLetters, DeadLetter], Awaitable[str]]


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
@click.option("--limit", default=LISTED, show_default=True, help="Letters shown at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(limit: int, as_json: bool, **chosen: Any) -> None:
    """List letters, oldest first within each domain."""
    letters = run(_found(**_options(chosen)))
    if as_json:
        click.echo(json.dumps([each.summary() for each in letters[:limit]], indent=2))
        return
    if not letters:
        click.echo("There are no such dead letters.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("LETTER", "AT", "TYPE", "GROUP", "HANDLER", "TRIES", "REASON"):
        table.add_column(title, no_wrap=title != "REASON", overflow="fold")
    for each in letters[:limit]:
        row = each.summary()
        edited = " (edited)" if row["edited_by"] else ""
        table.add_row(
            row["id"], row["at"], (row["type"] or "?") + edited, row["group"], row["handler"],
            str(row["attempts"]), row["reason"],
        )  # fmt: skip
    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)
    if len(letters) > limit:
        click.echo(f"… and {len(letters) - limit} more: --limit")


@dead_letters.command()
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(id: str, as_json: bool) -> None:
    """Show one letter: its message, why it is here, and the traceback. Secrets stay sealed."""
    whole = run(_get(id)).whole()
    if as_json:
        click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    traceback, envelope = whole.pop("traceback"), whole.pop("envelope")
    for name, value in whole.items():
        if value not in (None, ""):
            click.echo(f"{name:<12}{value}")
    if envelope is not None:
        click.echo("\nMessage")
        click.echo(json.dumps(envelope, indent=2, ensure_ascii=False))
    if traceback:
        click.echo("\nTraceback")
        click.echo(traceback.rstrip())


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
        entry = await letters.redrive(letter)
        if rate:
            await asyncio.sleep(1 / rate)
        return entry

    _change("Redrive", "redriven", act, ids, all_, yes, as_json, chosen)


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
    letter = run(_get(id))
    if letter.envelope is None:
        raise click.ClickException(f"{id} cannot be decoded, so it has no data to edit.")
    before = json.dumps(letter.envelope.data, indent=2, ensure_ascii=False)
    if data is not None:
        text = sys.stdin.read() if str(data) == "-" else data.read_text()
    else:
        text = click.edit(before, extension=".json") or ""
    try:
        given = json.loads(text) if text.strip() else letter.envelope.data
    except ValueError as error:
        raise click.ClickException(f"That is not JSON: {error}.") from error
    if given == letter.envelope.data:
        raise click.ClickException("Nothing was changed.")
    replaced = run(_edit(letter, given))
    if as_json:
        click.echo(json.dumps(replaced.whole(), indent=2, ensure_ascii=False))
    else:
        click.echo(f"Edited: it is {replaced.id} now. Send it with grid8 dead-letters redrive.")


@asynccontextmanager
async def _opened() -> AsyncIterator[DeadLetters]:
    async with servers() as here:
        yield DeadLetters(here.redis, here.database, by=operator())


async def _found(domains: Sequence[str], wanted: Wanted) -> list[DeadLetter]:
    async with _opened() as letters:
        return [letter async for letter in letters.find(domains, wanted)]


async def _get(id: str) -> DeadLetter:
    async with _opened() as letters:
        try:
            return await letters.get(id)
        except LetterGone as error:
            raise click.ClickException(f"{error}.") from error


async def _edit(letter: DeadLetter, data: Any) -> DeadLetter:
    async with _opened() as letters:
        try:
            return await letters.edit(letter, data)
        except (EditRefused, LetterGone) as error:
            raise click.ClickException(f"{error}.") from error


def _options(chosen: dict[str, Any]) -> dict[str, Any]:
    return {
        "domains": chosen["domain"] or INSPECTED,
        "wanted": Wanted(chosen["reason"], chosen["type_"], chosen["since"], chosen["until"]),
    }


def _change(
    verb: str,
    done: str,
    act: Act,
    ids: Sequence[str],
    all_: bool,
    yes: bool,
    as_json: bool,
    chosen: dict[str, Any],
) -> None:
    """Find the letters, ask, and act on each; exit code 1 when one of them could not be done."""
    if bool(ids) == all_:
        raise click.UsageError("Name letters, or say --all (with --domain, --reason …).")
    if ids and any(chosen.values()):
        raise click.UsageError("The options choose among --all; letters that are named are named.")
    letters = [run(_get(id)) for id in ids] if ids else run(_found(**_options(chosen)))
    if letters and not yes:
        click.confirm(f"{verb} {len(letters)} dead letter(s)?", abort=True, err=True)
    results = run(_each(letters, act))
    failed = [each for each in results if "error" in each]
    if as_json:
        click.echo(json.dumps(results, indent=2))
    else:
        for each in failed:
            click.echo(f"{each['id']}: {each['error']}", err=True)
        click.echo(f"{len(results) - len(failed)} {done}, {len(failed)} not.")
    sys.exit(1 if failed else 0)


async def _each(chosen: Sequence[DeadLetter], act: Act) -> list[dict[str, str]]:
    results = []
    async with _opened() as letters:
        for letter in chosen:
            try:
                results.append({"id": letter.id, "entry": await act(letters, letter)})
            except (NotRedrivable, LetterGone) as error:
                results.append({"id": letter.id, "error": str(error)})
    return results
