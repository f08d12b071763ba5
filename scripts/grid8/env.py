"""``grid8 env``: every setting, its variable, its default and what it means."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import click
from pydantic import SecretStr

from infra.embedded.layout import check_variables, known_settings, upper
from infra.settings import SettingUnknown
from scripts.grid8 import stack_env

_MASK = "••••••"


@click.command()
@click.option("--set", "only_set", is_flag=True, help="Only what is set now, with its value.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def env(only_set: bool, as_json: bool) -> None:
    """Show every setting. What a running stack was started with counts as set.

    Exit code 1 when a variable is set that is no setting: nothing would start with it.
    """
    stack_env.load()
    rows = [row for row in settings() if row["set"] or not only_set]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        _print(rows, only_set)
    try:
        check_variables(os.environ)
    except SettingUnknown as error:
        raise click.ClickException(str(error)) from error


def _print(rows: list[dict[str, Any]], only_set: bool) -> None:
    shown = "value" if only_set else "default"
    cells = [(row["name"], _text(row[shown]), row["description"]) for row in rows]
    names = max((len(name) for name, _, _ in cells), default=0)
    values = max((min(len(value), 44) for _, value, _ in cells), default=0)
    for name, value, description in cells:
        click.echo(f"{name:<{names}}  {value:<{values}}  {description}".rstrip())
    if only_set and not cells:
        click.echo("Nothing is set: every default holds.")


def settings() -> list[dict[str, Any]]:
    """Each setting as ``name, default, value, set, secret, description``; secrets masked."""
    given = upper(os.environ)
    rows = []
    for name, model, field in known_settings():
        info = model.model_fields[field]
        secret = "SecretStr" in str(info.annotation)
        value = given.get(name)
        rows.append(
            {
                "name": name,
                "default": _plain(info.get_default(call_default_factory=True)),
                "value": (_MASK if secret else without_password(value)) if value else value,
                "set": value is not None,
                "secret": secret,
                "description": info.description or "",
            }
        )
    return rows


def without_password(url: str) -> str:
    """The text with the password of any URL in it masked."""
    return re.sub(r"(://[^:/@\s]*:)[^@\s]+@", rf"\g<1>{_MASK}@", url)


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return _MASK
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _text(value: Any) -> str:
    if value is None or value == []:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
