"""``grid8 mails``: a link in a mail is one command away."""

from __future__ import annotations

import datetime as dt
import os
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from infra.embedded.ports import free_port
from infra.letter import Letter
from scripts.grid8.__main__ import main

AT = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)
LINK = "https://grid8.example/account/verify-email#token=vt_1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose sink has taken three mails."""
    data = tmp_path_factory.mktemp("data")
    port = free_port()
    arguments = ["--port", str(port), "--folder", str(data / "mails")]
    sink = subprocess.Popen([sys.executable, "-m", "infra.embedded.smtp_sink", *arguments])
    deadline = dt.datetime.now() + dt.timedelta(seconds=30)  # noqa: DTZ005 - a span
    while True:
        try:
            client = smtplib.SMTP("127.0.0.1", port, timeout=10)
            break
        except OSError:
            assert dt.datetime.now() < deadline  # noqa: DTZ005 - as above
            assert sink.poll() is None
    with client:
        for to, subject, text in (
            ("ann@example.org", "First", f"Grüße\n\n{LINK}\n"),
            ("bob@example.org", "Zweite Ü \x1b", "Only \x1b[31mwords.\n"),
            ("ann@example.org", "Third", "No link here.\n"),
        ):
            letter = Letter("mail_1", to, subject, text, "<p>x</p>", AT)
            client.sendmail("a@b.example", [to], letter.content("Grid8 <a@b.example>"))
    sink.terminate()
    assert sink.wait(20) == 0
    return data


def grid8(folder: Path, *arguments: str, **env: str) -> Result:
    given = {"GRID8_DATA_FOLDER": str(folder), **env}
    before = dict(os.environ)
    try:
        return CliRunner().invoke(main, ["mails", *arguments], env=given)
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_the_newest_come_first_with_whom_they_are_to(folder: Path) -> None:
    lines = grid8(folder).output.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert [line.split()[3] for line in lines] == [
        "ann@example.org",
        "bob@example.org",
        "ann@example.org",
    ]
    assert [line.split()[4] for line in lines] == ["Third", "Zweite", "First"]
    assert len(grid8(folder, "--limit", "1").output.splitlines()) == 1


def test_those_to_one_address_are_told_apart(folder: Path) -> None:
    lines = grid8(folder, "--to", "BOB@example.org").output.splitlines()
    assert len(lines) == 1
    assert (
        grid8(folder, "--to", "eve@example.org").output == "There is no mail to eve@example.org.\n"
    )


def test_a_mail_is_shown_decoded_and_does_nothing_to_the_terminal(folder: Path) -> None:
    shown = grid8(folder, "show", "2").output
    assert "To: bob@example.org" in shown
    assert "Subject: Zweite Ü" in shown
    assert "[31mwords." in shown
    assert "\x1b" not in shown
    assert "Grüße" in grid8(folder, "show", "3").output
    assert "No link here." in grid8(folder, "show").output


def test_a_link_is_one_command_away(folder: Path) -> None:
    ran = grid8(folder, "show", "--to", "ann@example.org", "--links")
    assert (ran.exit_code, ran.output) == (0, f"{LINK}\n")


def test_a_mail_that_is_not_there_is_an_error(folder: Path) -> None:
    ran = grid8(folder, "show", "4")
    assert ran.exit_code == 1
    assert "There is no mail number 4." in ran.output
    ran = grid8(folder, "show", "--links", "--to", "bob@example.org", "--wait", "0.3")
    assert ran.exit_code == 1
    assert "There is no mail with a link number 1 to bob@example.org." in ran.output


def test_mails_that_go_elsewhere_are_said_to(folder: Path) -> None:
    ran = grid8(folder, GRID8_MAIL__SMTP_URL="smtp://grid8:hunter2@mail.example:587")
    assert ran.exit_code == 1
    assert "mail.example:587: read them there" in ran.output
    assert "hunter2" not in ran.output


def test_a_folder_without_mails_says_how_to_get_some(tmp_path: Path) -> None:
    ran = grid8(tmp_path)
    assert ran.exit_code == 1
    assert "./scripts/up" in ran.output
