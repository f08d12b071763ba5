"""``grid8 admin``: who may do everything on the platform."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from contracts.auth.commands import AppointAdmin
from contracts.auth.errors import AccountExists, PasswordRefused, UserNotFound
from contracts.permissions import PlatformRole
from contracts.types import rfc3339
from handlers.auth.documents import User
from handlers.runtime import init_documents
from scripts.grid8.connections import run, servers
from scripts.grid8.sending import send
from scripts.grid8.terminal import print_table, printable


@click.group()
def admin() -> None:
    """Look after platform admins: the first is made here, and may then promote others."""


@admin.command()
@click.argument("email")
@click.option("--name", help="Of a new account; by default what stands before the @.")
@click.option("--password-stdin", is_flag=True, help="Take the password of a new account so.")
@click.option("--yes", is_flag=True, help="Promote an existing account without asking.")
def create(email: str, name: str | None, password_stdin: bool, yes: bool) -> None:
    """Make EMAIL a platform admin: a new account, or one that is there already.

    It is carried out by the auth worker of the running stack.
    """
    asked = _command(email=email, promote=yes)
    failure, before = _send(asked), False
    if failure is None:
        _said(asked.email, before=True)
        return
    if failure.code == AccountExists.code:
        click.confirm(
            f"{asked.email} has an account. Make it a platform admin?", abort=True, err=True
        )
        failure = _send(_command(email=email, promote=True))
        before = True
    elif failure.code == UserNotFound.code:
        password = _password(password_stdin)
        given = name or email.partition("@")[0]
        failure = _send(_command(email=email, name=given, password=password))
    if failure is None:
        _said(asked.email, before=before)
        return
    if failure.code == PasswordRefused.code and failure.errors:
        raise click.ClickException(f"The password is not good enough: {failure.errors[0].detail}")
    raise click.ClickException(failure.detail)


@admin.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List who has a role on the platform."""
    users = run(_listed())
    if as_json:
        click.echo(json.dumps([_row(user) for user in users], indent=2, ensure_ascii=False))
    elif not users:
        click.echo("Nobody has a role on the platform: grid8 admin create EMAIL")
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for title in ("USER", "EMAIL", "NAME", "ROLE", "STATUS", "SINCE"):
            table.add_column(title, overflow="fold", no_wrap=title == "USER")
        for user in users:
            table.add_row(*(Text(printable(str(value))) for value in _row(user).values()))
        print_table(table)


def _command(
    *, email: str, promote: bool = False, name: str | None = None, password: str | None = None
) -> AppointAdmin:
    try:
        # Without types: the password is checked while it is sealed.
        given: dict[str, Any] = {"promote": promote, "name": name, "password": password}
        return AppointAdmin(email=email, **given)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise click.ClickException(f"{wrong['loc'][0]}: {wrong['msg']}.") from None


def _send(command: AppointAdmin) -> Any:
    """The failure of the command; None when it succeeded."""
    return run(send(command)).failure


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.ClickException("There is no terminal to ask for a password: --password-stdin.")
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return asked


def _said(email: str, *, before: bool) -> None:
    click.echo(f"{email} is a platform admin.")
    if before:
        click.echo("The account was there before: its password is as it was.", err=True)


async def _listed() -> list[User]:
    async with servers() as here:
        await init_documents(here.database, ["auth"])
        roles = [role.value for role in PlatformRole]
        return await User.find({"platform_role": {"$in": roles}}).sort("_id").to_list()


def _row(user: User) -> dict[str, str]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "platform_role": str(user.platform_role),
        "status": "active" if user.suspended_at is None else "suspended",
        "created_at": rfc3339(user.created_at),
    }
