"""The embedded servers: real ones, on folders that outlive them."""

from __future__ import annotations

import asyncio
import os
import signal
import smtplib
import socket
import stat
import subprocess
import sys
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from infra.embedded import mongod, ports, preflight, secrets, state
from infra.embedded.errors import CannotStartError
from infra.embedded.layout import Layout
from infra.embedded.running import RunningStack
from infra.embedded.stack import Stack, running_servers

Documents = AsyncMongoClient[dict[str, Any]]


async def test_mongo_is_a_replica_set_that_does_transactions(mongo_url: str) -> None:
    async with Documents(mongo_url) as client:
        collection = client.embedded.things
        async with client.start_session() as session, await session.start_transaction():
            await collection.insert_one({"_id": 1}, session=session)
        assert await collection.find_one({"_id": 1}) == {"_id": 1}
        await client.drop_database("embedded")


async def test_valkey_fsyncs_every_write_and_never_evicts(redis_url: str) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        found = await redis.config_get("appendonly", "appendfsync", "maxmemory-policy", "save")
        assert found == {
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
        }


async def test_servers_listen_on_this_machine_alone(servers: RunningStack) -> None:
    for port in (servers.layout.mongo_port, servers.layout.redis_port):
        listening = {
            line.split()[1].rpartition(":")[0]
            for table in ("/proc/net/tcp", "/proc/net/tcp6")
            for line in Path(table).read_text().splitlines()[1:]
            if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port
        }
        assert listening == {"0100007F"}


async def test_a_folder_whose_servers_were_killed_is_good_on_other_ports_within_seconds(
    tmp_path: Path,
) -> None:
    async with running_servers(tmp_path) as first:
        async with Documents(first.mongo_url) as client:
            await client.kept.things.insert_one({"_id": "a"})
        async with Redis.from_url(first.redis_url) as redis:
            await redis.set("a", "1")
        await first.hold("mongod", signal.SIGKILL)
        await first.hold("valkey", signal.SIGKILL)

    began = time.monotonic()
    async with running_servers(tmp_path) as second:
        assert time.monotonic() - began < 20
        assert second.mongo_url != first.mongo_url
        async with Documents(second.mongo_url, serverSelectionTimeoutMS=5000) as client:
            assert await client.kept.things.find_one() == {"_id": "a"}
        async with Redis.from_url(second.redis_url) as redis:
            assert await redis.get("a") == b"1"


async def test_a_server_that_dies_comes_back_with_what_it_had_acknowledged(tmp_path: Path) -> None:
    async with running_servers(tmp_path) as servers:
        async with Redis.from_url(servers.redis_url) as redis:
            await redis.set("promised", "yes")
        before = servers.kill("valkey")
        child = await servers.restarted("valkey")
        assert child.pid != before
        async with Redis.from_url(servers.redis_url) as redis:
            assert await redis.get("promised") == b"yes"


def test_servers_can_be_run_without_an_event_loop(tmp_path: Path) -> None:
    with running_servers(tmp_path) as servers:
        pids = [servers.process(name).pid for name in ("mongod", "valkey")]
        assert state.read(tmp_path / "stack.env")["GRID8_MONGO__URL"] == servers.mongo_url
    assert not any(_runs(pid) for pid in pids)
    assert not (tmp_path / "stack.env").exists()


def test_a_missing_library_is_named_together_with_the_package_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_ldd = tmp_path / "ldd"
    fake_ldd.write_text("#!/bin/sh\necho '\tlibcurl.so.4 => not found'\n")
    broken = tmp_path / "mongod"
    broken.write_text("#!/bin/sh\necho 'error while loading shared libraries' >&2\nexit 127\n")
    for script in (fake_ldd, broken):
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(CannotStartError, match=r"libcurl\.so\.4.*apt-get install libcurl4$"):
        mongod.version(mongod.find())


async def test_the_sink_keeps_each_mail_as_a_file_of_its_recipient(tmp_path: Path) -> None:
    port = ports.free_port()
    sink = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.embedded.smtp_sink"),
        *("--port", str(port), "--folder", str(tmp_path / "mails")),
    )
    try:
        await asyncio.to_thread(_send, port, ["ann@example.com", "../../evil/x@example.com"])
    finally:
        sink.terminate()
        assert await sink.wait() == 0
    mails = sorted((tmp_path / "mails").iterdir())
    assert all(mail.suffix == ".eml" and mail.parent == tmp_path / "mails" for mail in mails)
    parsed = [message_from_bytes(mail.read_bytes(), policy=policy.default) for mail in mails]
    assert sorted(str(mail["Delivered-To"]) for mail in parsed) == [
        "../../evil/x@example.com",
        "ann@example.com",
    ]
    assert all(mail["Subject"] == "Grüße" for mail in parsed)
    assert any("-ann@example.com-" in mail.name for mail in mails)


def _send(port: int, recipients: list[str]) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "g@example.com", "a@example.com", "Grüße"
    mail.set_content("hello")
    deadline = time.monotonic() + 20
    while True:
        try:
            with smtplib.SMTP("127.0.0.1", port, local_hostname="test") as client:
                client.send_message(mail, to_addrs=recipients)
                return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_keys_are_made_once_for_their_owner_only_and_kept(tmp_path: Path) -> None:
    key = secrets.sealing_key(tmp_path / "sealing.key")
    assert secrets.sealing_key(tmp_path / "sealing.key") == key
    pem = secrets.jwt_key(tmp_path / "keys")
    assert secrets.jwt_key(tmp_path / "keys") == pem
    private = load_pem_private_key(pem.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.curve.name == "secp256r1"
    for file in (tmp_path / "sealing.key", pem):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "keys").iterdir()] == [pem.name]


def test_a_damaged_sealing_key_is_reported_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sealing.key").write_text("not a key\n")
    with pytest.raises(CannotStartError, match="does not hold a sealing key"):
        secrets.sealing_key(tmp_path / "sealing.key")
    assert (tmp_path / "sealing.key").read_text() == "not a key\n"


def test_free_ports_are_free_and_never_given_twice() -> None:
    given = [ports.free_port() for _ in range(50)]
    assert len(set(given)) == 50
    assert all(ports.is_free("127.0.0.1", port) for port in given)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc")
def test_the_holder_of_a_port_is_told_by_name_and_pid() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free("127.0.0.1", port)
        assert f"(pid {os.getpid()})" in (ports.holder(port) or "")
    assert ports.holder(port) is None


def test_one_variable_moves_every_port(tmp_path: Path) -> None:
    layout = Layout({"GRID8_UP__PORT_BASE": "9100", "GRID8_DATA_FOLDER": str(tmp_path)})
    assert layout.gateway_url == "http://127.0.0.1:9100"
    assert layout.notifier_url == "http://127.0.0.1:9101"
    assert layout.smtp_url == "smtp://127.0.0.1:9125"
    assert layout.mongo_url == "mongodb://127.0.0.1:9127/?replicaSet=grid8"
    assert layout.redis_url == "redis://127.0.0.1:9163/0"


def test_a_server_of_the_users_own_is_used_instead_of_an_embedded_one(tmp_path: Path) -> None:
    layout = Layout({"GRID8_MONGO__URL": "mongodb://elsewhere/", "grid8_redis__url": "redis://x/1"})
    assert (layout.owns_mongo, layout.owns_redis, layout.owns_smtp) == (False, False, True)
    assert (layout.mongo_url, layout.redis_url) == ("mongodb://elsewhere/", "redis://x/1")


def test_the_whole_stack_is_described_with_ports_of_its_own(tmp_path: Path) -> None:
    stack = Stack({"GRID8_DATA_FOLDER": str(tmp_path), "GRID8_MONGO__URL": "mongodb://x/"})
    stack.layout.create()
    described = {process.name: process for process in stack.processes()}
    assert list(described) == [
        *(
            "valkey",
            "mails",
            "prepare",
            "gateway",
            "worker-auth",
            "worker-corp",
            "worker-asset",
            "worker-mail",
        ),
        *("notifier", "relay"),
    ]
    ops = [described[name].env["GRID8_OPS__PORT"] for name in stack.ops_ports]
    assert len(set(ops)) == 5
    assert {described[name].env["GRID8_OPS__PORT"] for name in ("gateway", "notifier")} == {"-1"}
    stages = {name: process.stop_stage for name, process in described.items()}
    assert (
        stages["worker-auth"]
        == stages["worker-corp"]
        == stages["worker-asset"]
        == stages["worker-mail"]
    )
    order = ["gateway", "worker-corp", "relay", "notifier", "mails", "valkey"]
    assert [stages[name] for name in order] == sorted({stages[name] for name in order})
    assert described["gateway"].env["GRID8_STORE__FOLDER"] == str(tmp_path / "objects")


def test_folders_of_the_users_own_are_kept_and_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout({"GRID8_DATA_FOLDER": "data", "GRID8_STORE__FOLDER": "../pictures"})
    layout.create()
    assert layout.env["GRID8_DATA_FOLDER"] == str(tmp_path / "data")
    assert Path(layout.env["GRID8_STORE__FOLDER"]) == tmp_path / "../pictures"
    assert layout.env["GRID8_AUTH__KEYS_FOLDER"] == str(tmp_path / "data" / "keys")


def test_a_wrong_setting_is_named_by_its_variable() -> None:
    with pytest.raises(CannotStartError, match=r"^GRID8_GATEWAY__PORT is wrong: "):
        Layout({"GRID8_GATEWAY__PORT": "eighty"})
    with pytest.raises(CannotStartError, match=r"^GRID8_UP__PORT_BASE is wrong: "):
        Layout({"GRID8_UP__PORT_BASE": "0"})


def test_two_services_on_one_port_are_refused(tmp_path: Path) -> None:
    port = str(ports.free_port())
    layout = Layout({"GRID8_GATEWAY__PORT": port, "GRID8_UP__MONGO_PORT": port})
    with pytest.raises(CannotStartError, match="GRID8_GATEWAY__PORT and GRID8_UP__MONGO_PORT"):
        preflight.check_ports(layout)


def _runs(pid: int) -> bool:
    return (
        subprocess.run(["kill", "-0", str(pid)], capture_output=True, check=False).returncode == 0
    )
