"""The ``grid8`` command line as a person runs it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
import pytest
from pymongo import MongoClient

import gateway.__main__
import handlers.__main__
from infra.embedded import state
from infra.embedded.layout import check_variables
from infra.embedded.ports import free_port, is_free
from infra.embedded.running import RunningStack
from infra.settings import Settings, SettingUnknown, settings
from scripts.grid8.connections import configured

ROOT = Path(__file__).parents[2]
GRID8 = (sys.executable, "-m", "scripts.grid8")


@pytest.fixture
def own(tmp_path: Path) -> dict[str, str]:
    """An environment with ports and a folder of its own."""
    names = ("GATEWAY__PORT", "NOTIFIER__PORT", "UP__MONGO_PORT", "UP__REDIS_PORT", "UP__SMTP_PORT")
    ports = {f"GRID8_{name}": str(free_port()) for name in names}
    return {**os.environ, **ports, "GRID8_DATA_FOLDER": str(tmp_path / "data")}


def grid8(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GRID8, *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def refuses(env: dict[str, str]) -> str:
    """Run ``up``, which must fail with one sentence and leave nothing behind; returns the sentence."""
    ran = grid8("up", env=env)
    assert ran.returncode == 1
    assert ran.stdout == ""
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, ran.stderr
    assert lines[0].startswith("grid8 up: ")
    nothing_left(env)
    return lines[0]


def nothing_left(env: dict[str, str]) -> None:
    """No process of this environment is alive: each carries its data folder."""
    folder = f"GRID8_DATA_FOLDER={env['GRID8_DATA_FOLDER']}".encode()
    own = str(os.getpid())
    left = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != own:
            try:
                if folder in (process / "environ").read_bytes().split(b"\0"):
                    left.append((process / "cmdline").read_bytes().replace(b"\0", b" "))
            except OSError:
                continue
    assert left == []


def test_help_names_the_commands_without_importing_them() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from scripts.grid8.__main__ import main;"
        "out = CliRunner().invoke(main, ['--help']).output; assert 'doctor' in out, out;"
        "heavy = {'pymongo', 'redis', 'infra.settings'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_env_lists_every_setting_with_its_meaning(own: dict[str, str]) -> None:
    rows = json.loads(grid8("env", "--json", env=own).stdout)
    by_name = {row["name"]: row for row in rows}
    assert by_name["GRID8_REDIS__URL"]["default"] == Settings.model_fields["redis"].default.url
    assert by_name["GRID8_UP__PORT_BASE"]["default"] == 8000
    undocumented = [
        row["name"] for row in rows if not row["description"] and row["name"].count("__")
    ]
    assert undocumented == []
    table = grid8("env", env=own).stdout
    assert all(name in table for name in by_name)


def test_env_shows_what_is_set_and_masks_secrets(own: dict[str, str]) -> None:
    key = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI="
    given = {
        **own,
        "GRID8_SECRETS__KEYS": key,
        "GRID8_MONGO__URL": "mongodb://ann:hunter2@db/",
        "grid8_logs__level": "debug",
    }
    shown = grid8("env", "--set", env=given).stdout
    assert "GRID8_LOGS__LEVEL" in shown
    assert "debug" in shown
    assert "GRID8_SECRETS__KEYS" in shown
    assert "mongodb://ann:••••••@db/" in shown
    assert "GRID8_REDIS__URL" not in shown
    assert key not in shown
    assert "hunter2" not in shown


def test_doctor_finds_this_machine_fit(own: dict[str, str]) -> None:
    ran = grid8("doctor", "--json", env=own)
    report = json.loads(ran.stdout)
    states = {finding["what"]: finding["state"] for finding in report["findings"]}
    assert {states[name] for name in ("Python", "packages", "mongod", "valkey", "libvips")} == {
        "ok"
    }
    assert report["running"] is False
    assert ran.returncode == 0
    assert "mongod" in grid8("doctor", env=own).stdout


def test_doctor_names_what_cannot_be_reached(own: dict[str, str]) -> None:
    nobody = f"mongodb://ann:hunter2@127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=200"
    ran = grid8("doctor", env={**own, "GRID8_MONGO__URL": nobody})
    assert ran.returncode == 1
    assert "BAD  MongoDB" in ran.stdout
    assert "GRID8_MONGO__URL" in ran.stdout
    assert "hunter2" not in ran.stdout


def test_doctor_examines_servers_that_run(own: dict[str, str], servers: RunningStack) -> None:
    urls = {"GRID8_MONGO__URL": servers.mongo_url, "GRID8_REDIS__URL": servers.redis_url}
    findings = json.loads(grid8("doctor", "--json", env={**own, **urls}).stdout)["findings"]
    details = {finding["what"]: finding["detail"] for finding in findings}
    assert details["MongoDB"].endswith("replica set grid8, primary")
    assert "appendonly yes, appendfsync always, maxmemory-policy noeviction" in details["Redis"]


def test_doctor_warns_of_a_mongodb_whose_transactions_may_last_long(
    own: dict[str, str], servers: RunningStack
) -> None:
    name = "transactionLifetimeLimitSeconds"
    with MongoClient[dict[str, Any]](servers.mongo_url) as client:
        before = client.admin.command({"getParameter": 1, name: 1})[name]
        client.admin.command({"setParameter": 1, name: 60})
        try:
            env = {**own, "GRID8_MONGO__URL": servers.mongo_url}
            ran = grid8("doctor", "--json", env=env)
        finally:
            client.admin.command({"setParameter": 1, name: before})
    found = {each["what"]: each for each in json.loads(ran.stdout)["findings"]}["MongoDB"]
    assert found["state"] == "off"
    assert "60 s" in found["detail"]
    assert name in found["remedy"]


@pytest.mark.parametrize(
    ("variable", "who"),
    [
        ("GRID8_GATEWAY__PORT", "gateway"),
        ("GRID8_NOTIFIER__PORT", "notifier"),
        ("GRID8_UP__SMTP_PORT", "SMTP sink"),
        ("GRID8_UP__MONGO_PORT", "MongoDB"),
        ("GRID8_UP__REDIS_PORT", "Valkey"),
    ],
)
def test_up_names_a_port_that_is_taken_and_what_moves_it(
    own: dict[str, str], variable: str, who: str
) -> None:
    with socket.create_server(("127.0.0.1", int(own[variable]))):
        said = refuses(own)
    assert f"Port {own[variable]} of the {who} is taken by" in said
    assert f"(pid {os.getpid()})" in said
    assert f"{variable} moves it" in said


def test_up_refuses_a_folder_another_stack_uses(own: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with state.Lock(tmp_path / "data"):
        said = refuses(own)
    assert f"Another stack (pid {os.getpid()}) uses {tmp_path / 'data'}" in said


def test_up_refuses_a_folder_that_cannot_be_written(own: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert f"The data folder {tmp_path / 'data'} cannot be written" in refuses(own)


def test_up_refuses_a_disk_that_is_nearly_full(own: dict[str, str]) -> None:
    said = refuses({**own, "GRID8_UP__FREE_DISK": str(2**60)})
    assert "GRID8_DATA_FOLDER moves the data folder" in said


def test_up_names_a_setting_that_is_wrong(own: dict[str, str]) -> None:
    said = refuses({**own, "GRID8_WORKER__SLOTS": "many"})
    assert "GRID8_WORKER__SLOTS is wrong" in said


MISSPELT = "GRID8_GATWAY__PORT is no setting; did you mean GRID8_GATEWAY__PORT?"


def test_a_setting_that_is_misspelt_is_named(own: dict[str, str]) -> None:
    misspelt = {**own, "GRID8_GATWAY__PORT": "9000"}
    assert MISSPELT in refuses(misspelt)
    ran = grid8("env", env=misspelt)
    assert (ran.returncode, MISSPELT in ran.stderr) == (1, True), ran.stderr
    assert "GRID8_GATEWAY__PORT" in ran.stdout


def test_a_process_does_not_start_with_a_setting_that_is_misspelt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRID8_GATWAY__PORT", "9000")
    settings.cache_clear()
    for start in (gateway.__main__.main, lambda: handlers.__main__.main(["relay"])):
        assert start() == 1
        assert MISSPELT in capsys.readouterr().err
    with pytest.raises(click.ClickException, match="did you mean"):
        configured()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("GRID8_GATEWAY_PORT", "GRID8_GATEWAY__PORT"),
        ("grid8_redis__ulr", "GRID8_REDIS__URL"),
        ("GRID8_DATA_FOLDR", "GRID8_DATA_FOLDER"),
        ("GRID8_UP__MONGOPORT", "GRID8_UP__MONGO_PORT"),
    ],
)
def test_the_nearest_setting_is_suggested(name: str, nearest: str) -> None:
    with pytest.raises(SettingUnknown, match=f"did you mean {nearest}"):
        check_variables({name: "1"})


def test_what_others_call_by_our_name_is_no_mistake() -> None:
    check_variables({"GRID8_REDIS": "{}", "GRID8_UP__OPS_PORTS": "", "GRID8": "x", "PATH": "/"})
    service = {
        "GRID8_GATEWAY_SERVICE_HOST": "10.0.0.1",
        "GRID8_GATEWAY_SERVICE_PORT": "80",
        "GRID8_GATEWAY_PORT": "tcp://10.0.0.1:80",
        "GRID8_GATEWAY_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    check_variables({**service, "KUBERNETES_SERVICE_HOST": "10.0.0.2"})
    with pytest.raises(SettingUnknown):
        check_variables(service)


@pytest.fixture
def without_workers(own: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An ``up`` whose preparation hangs: a module of the tests stands before ours."""
    package = tmp_path / "first" / "sitecustomize.py"
    package.parent.mkdir()
    package.write_text(
        "import sys, time\nif sys.orig_argv[1:4] == ['-m', 'handlers', 'prepare']:\n    time.sleep(600)\n"
    )
    return {**own, "PYTHONPATH": str(package.parent)}


def line_with(output: IO[str], word: str) -> str:
    for line in output:
        if word in line:
            return line
    raise AssertionError(f"it ended without saying {word}")


@pytest.fixture
def starting(without_workers: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """An ``up`` that has its servers ready and waits for the preparation."""
    with subprocess.Popen(
        [*GRID8, "up"], cwd=ROOT, env=without_workers, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        line_with(running.stdout, "mongod")
        yield running
        running.kill()


def test_a_signal_while_starting_leaves_nothing_running(
    starting: subprocess.Popen[str], own: dict[str, str]
) -> None:
    starting.send_signal(signal.SIGTERM)
    assert starting.wait(30) == 130
    nothing_left(own)
    assert is_free("127.0.0.1", int(own["GRID8_UP__MONGO_PORT"]))


def test_a_killed_up_leaves_nothing_running(
    starting: subprocess.Popen[str], own: dict[str, str]
) -> None:
    starting.kill()
    starting.wait(30)
    deadline = time.monotonic() + 20
    while not all(
        is_free("127.0.0.1", int(own[f"GRID8_UP__{name}_PORT"])) for name in ("MONGO", "REDIS")
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    nothing_left(own)


def test_up_says_which_process_did_not_start_and_why(own: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "first" / "sitecustomize.py"
    broken.parent.mkdir()
    broken.write_text(
        "import sys\nif sys.orig_argv[1:4] == ['-m', 'handlers', 'prepare']:\n    sys.exit('no such index')\n"
    )
    ran = grid8("up", env={**own, "PYTHONPATH": str(broken.parent)})
    assert ran.returncode == 1
    assert "grid8 up: prepare ended with exit code 1" in ran.stderr
    assert "no such index" in ran.stderr
    nothing_left(own)
