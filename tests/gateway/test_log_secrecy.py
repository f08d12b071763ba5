"""What goes wrong is logged, and never what it went wrong with."""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

import pytest

from infra.embedded.layout import ROOT

PROGRAM = """
import logging, structlog
from infra import logs
from infra.settings import LogSettings

logs.configure(LogSettings(format={format!r}), process="test")

def handle(password):
    token = {{"access_token": "unseen-token-1"}}
    raise RuntimeError("it went wrong")

for name in ("gateway", "aiohttp.server"):
    try:
        handle("unseen-password-2")
    except RuntimeError:
        structlog.get_logger(name).exception("request_failed", authorization="unseen-header-3")
        logging.getLogger(name).exception("request failed")
"""


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_traceback_shows_no_value_of_a_variable(style: Literal["console", "json"]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(format=style)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said = ran.stdout + ran.stderr
    assert said.count("it went wrong") >= 4
    assert "in handle" in said
    assert "unseen-" not in said
    assert "locals" not in said
