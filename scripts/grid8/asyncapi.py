"""``grid8 asyncapi``: AsyncAPI 3.0 of every command and event."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

import contracts.catalog
from bus.asyncapi import build
from handlers.topology import GROUPS, PUBLISHED, reactions_of

assert contracts.catalog, "every contract must be declared before they are described"


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
def asyncapi(out: Path | None) -> None:
    """Write AsyncAPI 3.0, as JSON, of commands, events and the realtime interface."""
    text = json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text)
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}.") from error
    click.echo(f"Written to {out}.", err=True)


def document() -> dict[str, Any]:
    """The document of this installation; the same wherever it runs."""
    return build(
        version=version("grid8"),
        reactions={group: list(reactions_of(group)) for group in GROUPS},
        observers={"notifier": PUBLISHED},
        servers={
            "redis": {
                "host": "127.0.0.1:6379",
                "protocol": "redis",
                "description": "Redis 7.2+ or Valkey (GRID8_REDIS__URL).",
            },
            "websocket": {
                "host": "127.0.0.1:8001",
                "protocol": "ws",
                "description": "A notifier; each ticket says its ws_url.",
            },
            "http": {
                "host": "127.0.0.1:8001",
                "protocol": "http",
                "description": "A notifier; each ticket says its sse_url.",
            },
        },
    )
