"""``grid8 asyncapi``: AsyncAPI 3.0 of every command and event."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click

import contracts.catalog
from bus.asyncapi.document import build
from handlers.topology import GROUPS, PUBLISHED, reactions_of
from infra.embedded.layout import reachable
from infra.settings import Settings
from scripts.grid8 import stack_env
from scripts.grid8.connections import read_settings

assert contracts.catalog, "every contract must be declared before they are described"


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
def asyncapi(out: Path | None) -> None:
    """Write AsyncAPI 3.0, as JSON, of commands, events and the realtime interface.

    The addresses are those of the stack that runs here, else those that are set.
    """
    stack_env.load()
    text = json.dumps(document(read_settings()), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text)
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}.") from error
    click.echo(f"Written to {out}.", err=True)


def document(given: Settings) -> dict[str, Any]:
    """The document of this installation, with the addresses that these settings name."""
    return build(
        version=version("grid8"),
        reactions={group: list(reactions_of(group)) for group in GROUPS},
        observers={"notifier": PUBLISHED},
        servers=servers_of(given),
    )


def servers_of(given: Settings) -> dict[str, Any]:
    """AsyncAPI server objects: where they are, and no user or password."""
    redis = urlsplit(given.redis.url)
    notifier = urlsplit(
        given.notifier.public_url
        or f"http://{_netloc(reachable(given.notifier.host), given.notifier.port)}"
    )
    secure = "s" if notifier.scheme == "https" else ""
    path = {"pathname": notifier.path.rstrip("/")} if notifier.path.rstrip("/") else {}
    return {
        "redis": {
            "host": _netloc(redis.hostname or "localhost", redis.port or 6379),
            "protocol": "rediss" if redis.scheme == "rediss" else "redis",
            "description": "Redis 7.2+ or Valkey (GRID8_REDIS__URL).",
        },
        "websocket": {
            "host": _without_user(notifier),
            **path,
            "protocol": f"ws{secure}",
            "description": "A notifier; each ticket says its ws_url.",
        },
        "http": {
            "host": _without_user(notifier),
            **path,
            "protocol": f"http{secure}",
            "description": "A notifier; each ticket says its sse_url.",
        },
    }


def _netloc(host: str, port: int) -> str:
    """Host and port as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _without_user(url: SplitResult) -> str:
    return _netloc(url.hostname or "", url.port) if url.port else url.hostname or ""
