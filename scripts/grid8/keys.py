"""``grid8 keys``: the keys that sign access tokens."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from contracts.types import rfc3339
from infra.settings import AuthSettings
from infra.signing_keys import SigningKey, add_key, keys_in, signer_of, superseded_at
from scripts.grid8 import stack_env
from scripts.grid8.connections import read_settings
from scripts.grid8.terminal import print_table, printable

MARGIN = 120.0
"""Seconds for clocks that differ, and for whoever looked at the folder late."""


@click.group()
def keys() -> None:
    """Look after the keys that sign access tokens. Running processes take up what changes."""


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the keys, and what each is good for now."""
    given = _settings()
    found, broken = _found(given)
    rows = [
        {
            "kid": key.kid,
            "since": rfc3339(datetime.fromtimestamp(key.since, UTC)),
            "state": _state(key, found, given),
        }
        for key in found
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for title in ("KID", "SINCE", "STATE"):
            table.add_column(title, no_wrap=title == "KID")
        for row in rows:
            table.add_row(*(Text(printable(value)) for value in row.values()))
        print_table(table)
    for name in broken:
        click.echo(f"{name} is no P-256 key and is not used.", err=True)


@keys.command()
def rotate() -> None:
    """Add a new key. It signs once it was published for long enough; the others verify."""
    given = _settings()
    try:
        kid = add_key(given.keys_folder)
    except OSError as error:
        raise click.ClickException(f"{given.keys_folder}: {error.strerror}.") from error
    click.echo(f"{kid} is published, and signs in {given.key_published:g} s.")


@keys.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(yes: bool) -> None:
    """Remove keys that no token which is still valid was signed with."""
    given = _settings()
    found, _ = _found(given)
    over = [key for key in found if _is_over(key, found, given)]
    if not over:
        click.echo("There is nothing to remove.")
        return
    if not yes:
        named = ", ".join(key.kid for key in over)
        click.confirm(f"Remove {named}?", abort=True, err=True)
    for key in over:
        for suffix in (".pem", ".pub.pem"):
            (given.keys_folder / f"{key.kid}{suffix}").unlink(missing_ok=True)
        click.echo(f"{key.kid} is removed.")


def _settings() -> AuthSettings:
    stack_env.load()
    return read_settings().auth


def _found(given: AuthSettings) -> tuple[list[SigningKey], list[str]]:
    folder: Path = given.keys_folder
    try:
        return keys_in(folder)
    except OSError as error:
        raise click.ClickException(f"{folder}: {error.strerror}.") from error


def _until(key: SigningKey, found: list[SigningKey], given: AuthSettings) -> float | None:
    """When the last token that the key signed is over; None while it signs."""
    superseded = superseded_at(key, found, given.key_published)
    longest = max(given.access_ttl, given.impersonation_ttl)
    return None if superseded is None else superseded + longest + MARGIN


def _is_over(key: SigningKey, found: list[SigningKey], given: AuthSettings) -> bool:
    until = _until(key, found, given)
    return key.private is not None and until is not None and until < time.time()


def _state(key: SigningKey, found: list[SigningKey], given: AuthSettings) -> str:
    at = time.time()
    signer = signer_of(found, at, given.key_published)
    if key.private is None:
        return "verifies"
    if signer is not None and key.kid == signer.kid:
        return "signs"
    if signer is None or key.kid > signer.kid:
        return f"published, signs in {max(0.0, key.since + given.key_published - at):.0f} s"
    until = _until(key, found, given)
    if until is None or until < at:
        return "over: grid8 keys prune removes it"
    return f"verifies until {rfc3339(datetime.fromtimestamp(until, UTC))}"
