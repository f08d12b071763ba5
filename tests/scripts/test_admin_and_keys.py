"""``grid8 keys`` and ``grid8 admin``: by the folder, and by the worker of a running stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from infra.embedded.child import Process
from infra.embedded.layout import ROOT
from infra.embedded.ports import free_port
from infra.embedded.probes import http_ready
from infra.embedded.running import RunningStack
from infra.embedded.stack import Stack, running_stack
from infra.settings import settings
from infra.signing_keys import new_private_key
from scripts.grid8.__main__ import main

PASSWORD = "correct-horse-battery-9"


def run(*arguments: str, given: str | None = None, **env: str) -> Result:
    """In this process, because most of what a process does is to import."""
    settings.cache_clear()
    try:
        with capture_logs():
            return CliRunner().invoke(main, arguments, input=given, env=env)
    finally:
        settings.cache_clear()


# keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    made.mkdir()
    (made / "20260101-aa.pem").write_bytes(new_private_key())
    return made


def keys(folder: Path, *arguments: str, **env: str) -> Result:
    own = {"GRID8_DATA_FOLDER": str(folder.parent), "GRID8_AUTH__KEYS_FOLDER": str(folder)}
    return run("keys", *arguments, **own, **env)


def states(folder: Path) -> dict[str, str]:
    return {row["kid"]: row["state"] for row in json.loads(keys(folder, "list", "--json").stdout)}


def aged(path: Path, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(path, (at, at))


def test_a_key_is_added_published_signing_superseded_and_removed(folder: Path) -> None:
    aged(folder / "20260101-aa.pem", 90_000)
    assert states(folder) == {"20260101-aa": "signs"}
    said = keys(folder, "rotate").stdout
    new = said.split()[0]
    assert said == f"{new} is published, and signs in 30 s.\n"
    now = states(folder)
    assert now["20260101-aa"] == "signs"
    assert now[new].startswith("published, signs in ")
    aged(folder / f"{new}.pem", 31)
    now = states(folder)
    assert now[new] == "signs"
    assert now["20260101-aa"].startswith("verifies until ")
    assert keys(folder, "prune", "--yes").stdout == "There is nothing to remove.\n"
    # 30 s published, then the longest token (an hour, of an impersonation), then a margin.
    aged(folder / f"{new}.pem", 30 + 3600 + 110)
    assert keys(folder, "prune", "--yes").stdout == "There is nothing to remove.\n"
    aged(folder / f"{new}.pem", 30 + 3600 + 130)
    assert "prune" in states(folder)["20260101-aa"]
    asked = keys(folder, "prune")
    assert asked.exit_code == 1
    assert (folder / "20260101-aa.pem").exists(), "nobody said yes"
    assert keys(folder, "prune", "--yes").stdout == "20260101-aa is removed.\n"
    assert [path.name for path in folder.iterdir()] == [f"{new}.pem"]


def test_the_only_key_is_never_removed_however_old_it_is(folder: Path) -> None:
    aged(folder / "20260101-aa.pem", 10_000_000)
    assert keys(folder, "prune", "--yes").stdout == "There is nothing to remove.\n"


def test_what_is_no_key_is_named(folder: Path) -> None:
    (folder / "half.pem").write_bytes(new_private_key()[:50])
    ran = keys(folder, "list")
    assert ran.exit_code == 0
    assert "20260101-aa  " in ran.stdout
    assert ran.stderr == "half.pem is no P-256 key and is not used.\n"


@pytest.mark.parametrize("command", ["list", "rotate", "prune"])
def test_a_folder_that_is_not_there_is_told_in_one_sentence(tmp_path: Path, command: str) -> None:
    ran = keys(tmp_path / "nowhere", command)
    assert ran.exit_code == 1
    assert ran.stderr == f"Error: {tmp_path / 'nowhere'}: No such file or directory.\n"


# admin


def only_auth(stack: Stack) -> list[Process]:
    port = free_port()
    return [
        stack._grid8("prepare", "handlers", "prepare", once=True, start_stage=1),
        stack._grid8(
            "workers", "handlers", "auth", ready=http_ready("127.0.0.1", port), ops_port=port
        ),
    ]


@pytest.fixture(scope="module")
def place(
    servers: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    env = {
        "GRID8_AUTH__BCRYPT_COST": "4",
        "GRID8_MONGO__URL": servers.mongo_url,
        "GRID8_MONGO__DATABASE": "admin_tests",
        "GRID8_REDIS__URL": servers.redis_url.removesuffix("/0") + "/7",
    }
    folder = tmp_path_factory.mktemp("admin")
    with running_stack(folder, env=env, processes=only_auth) as running:
        yield running


def admin(place: RunningStack, *arguments: str, given: str = "") -> Result:
    env = {name: value for name, value in place.env.items() if name.startswith("GRID8_")}
    return run("admin", *arguments, given=given, **env)


def admins(place: RunningStack) -> dict[str, Any]:
    ran = admin(place, "list", "--json")
    assert ran.exit_code == 0, ran.stderr
    return {each["email"]: each for each in json.loads(ran.stdout)}


def test_the_first_admin_is_made_and_listed(place: RunningStack) -> None:
    made = admin(place, "create", "First@Example.com", "--password-stdin", given=PASSWORD + "\n")
    assert (made.exit_code, made.stdout) == (0, "first@example.com is a platform admin.\n"), made
    assert admins(place)["first@example.com"]["platform_role"] == "admin"
    again = admin(place, "create", "first@example.com", "--password-stdin", given="another one\n")
    assert (again.exit_code, again.stdout) == (0, "first@example.com is a platform admin.\n")
    assert "its password is as it was" in again.stderr
    assert "as it was" not in made.stderr
    shown = admin(place, "list")
    assert "first@example.com" in shown.stdout
    assert "active" in shown.stdout


def test_a_password_that_is_refused_says_why_and_makes_nobody(place: RunningStack) -> None:
    for password in ("short", "aaaaaaaaaaaaaaaa", ""):
        ran = admin(place, "create", "weak@example.com", "--password-stdin", given=password + "\n")
        assert ran.exit_code == 1, ran
        (sentence,) = ran.stderr.splitlines()
        assert sentence.startswith("Error: "), sentence
        assert "assword" in sentence or "at least" in sentence, sentence
        assert not sentence.endswith(".."), sentence
        assert "Traceback" not in ran.stderr
    assert "weak@example.com" not in admins(place)


def test_an_address_that_is_none_is_told_in_one_sentence(place: RunningStack) -> None:
    for email in ("nobody", "a@b@c", "x" * 400 + "@example.com", ""):
        ran = admin(place, "create", email, "--password-stdin", given=PASSWORD + "\n")
        assert ran.exit_code == 1
        (sentence,) = ran.stderr.splitlines()
        assert sentence.startswith("Error: email: ")


def test_without_a_terminal_no_password_is_asked_for(place: RunningStack) -> None:
    ran = admin(place, "create", "asked@example.com")
    assert ran.exit_code == 1
    assert ran.stderr.splitlines() == [
        "Error: There is no terminal to ask for a password: --password-stdin."
    ]


def test_an_account_is_promoted_by_its_owner_of_the_servers_alone(place: RunningStack) -> None:
    import asyncio

    from pymongo import AsyncMongoClient

    made = admin(place, "create", "second@example.com", "--password-stdin", given=PASSWORD)
    assert made.exit_code == 0

    async def demote(email: str, **more: Any) -> None:
        async with AsyncMongoClient(place.mongo_url) as client:
            await client["admin_tests"]["users"].update_one(
                {"email": email}, {"$set": {"platform_role": None, **more}}
            )

    asyncio.run(demote("second@example.com"))
    assert "second@example.com" not in admins(place)
    refused = admin(place, "create", "second@example.com", given="n\n")
    assert refused.exit_code == 1
    assert "second@example.com has an account" in refused.stderr
    assert "second@example.com" not in admins(place)
    taken = admin(place, "create", "second@example.com", given="y\n")
    assert taken.stdout == "second@example.com is a platform admin.\n"
    asyncio.run(demote("second@example.com"))
    assert admin(place, "create", "second@example.com", "--yes").exit_code == 0
    assert "second@example.com" in admins(place)


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GRID8_")}
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.grid8", "admin", "create", "a@example.com"],
        cwd=ROOT, env={**env, "GRID8_DATA_FOLDER": str(tmp_path)}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: No stack runs here.")
