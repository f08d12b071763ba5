"""``grid8 mails``: what the mail sink of the stack here has taken, readable."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cached_property
from pathlib import Path

import click

from infra.embedded import state
from infra.embedded.layout import data_folder, upper
from infra.letter import one_line
from scripts.grid8 import stack_env
from scripts.grid8.env import without_password

_LINK = re.compile(r"https?://\S+#token=\S+")
_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6})Z-.*-(\d+)\.eml")
LOOK_EVERY = 0.2


@dataclass(frozen=True)
class Kept:
    """One mail in the folder of the sink."""

    path: Path
    at: datetime

    @cached_property
    def message(self) -> EmailMessage:
        """The mail, decoded."""
        found = message_from_bytes(self.path.read_bytes(), policy=default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def to(self) -> str:
        """Whom it was delivered to."""
        return one_line(str(self.message.get("Delivered-To", "")))

    @property
    def subject(self) -> str:
        """What it is about."""
        return one_line(str(self.message.get("Subject", "")))

    @property
    def text(self) -> str:
        """Its plain part, without what a terminal would obey."""
        body = self.message.get_body(("plain", "html"))
        lines = str(body.get_content()).splitlines() if body is not None else []
        return "\n".join(
            "".join(c if c.isprintable() else " " for c in line).rstrip() for line in lines
        )

    @property
    def links(self) -> list[str]:
        """The links in it that carry a token."""
        return _LINK.findall(self.text)


@click.group(invoke_without_command=True)
@click.option("--to", help="Only mails to this address.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.pass_context
def mails(ctx: click.Context, to: str | None, limit: int) -> None:
    """List the newest mails that the stack here has sent, the newest first.

    A stack started without GRID8_MAIL__SMTP_URL sends none away: they are kept as files.
    """
    if ctx.invoked_subcommand is not None:
        return
    found = _kept(_folder(), to)[:limit]
    if not found:
        click.echo("There is no mail" + (f" to {to}." if to else "."))
    for number, mail in enumerate(found, 1):
        click.echo(f"{number:>3}  {mail.at:%Y-%m-%d %H:%M:%S}  {mail.to:<32}  {mail.subject}")


@mails.command()
@click.argument("number", type=click.IntRange(1), default=1)
@click.option("--to", help="Count only mails to this address.")
@click.option("--links", is_flag=True, help="Print only the links that carry a token.")
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=0.0,
    metavar="SECONDS",
    help="Wait that long for it to come.",
)
def show(number: int, to: str | None, links: bool, wait: float) -> None:
    """Print mail NUMBER of the list, decoded; the newest when none is named."""
    mail = _wait_for(_folder(), number, to, links, wait)
    if links:
        click.echo("\n".join(mail.links))
        return
    for name in ("From", "To", "Subject", "Date", "Message-ID"):
        click.echo(f"{name}: {one_line(str(mail.message.get(name, '')))}")
    click.echo(f"\n{mail.text}")


def _wait_for(folder: Path, number: int, to: str | None, links: bool, seconds: float) -> Kept:
    deadline = time.monotonic() + seconds
    while True:
        found = _kept(folder, to)
        if links:
            found = [mail for mail in found if mail.links]
        if len(found) >= number:
            return found[number - 1]
        if time.monotonic() >= deadline:
            kind = "mail with a link" if links else "mail"
            whose = f" to {to}" if to else ""
            raise click.ClickException(f"There is no {kind} number {number}{whose}.")
        time.sleep(LOOK_EVERY)


def _kept(folder: Path, to: str | None) -> Sequence[Kept]:
    """The mails, the newest first."""
    found = []
    for path in sorted(folder.glob("*.eml"), key=_order, reverse=True):
        if (named := _NAME.fullmatch(path.name)) is None:
            continue
        at = datetime.strptime(named[1], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
        mail = Kept(path, at)
        if to is None or mail.to.lower() == to.lower():
            found.append(mail)
    return found


def _order(path: Path) -> tuple[str, int]:
    named = _NAME.fullmatch(path.name)
    return (named[1], int(named[2])) if named else ("", 0)


def _folder() -> Path:
    """The sink's folder, or a click.ClickException that says where the mails are instead."""
    named = upper(os.environ).get("GRID8_MAIL__SMTP_URL")
    if stack_env.load():
        if kept := os.environ.get(state.MAILS):
            return Path(kept)
        named = os.environ.get("GRID8_MAIL__SMTP_URL", "")
    if named:
        raise click.ClickException(
            f"The mails go to {without_password(named)}: read them there. Only those of a stack "
            "that is started without GRID8_MAIL__SMTP_URL are kept here."
        )
    folder = data_folder() / "mails"
    if not folder.is_dir():
        raise click.ClickException(
            "No stack has sent mails from here. Start one with ./scripts/up in another terminal."
        )
    return folder
