"""What operators run, as processes of their own, beside a real corp worker, notifier and relay."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from bus import streams
from bus.broker import connect, decode
from bus.dead_letters.store import OPERATOR_LOG
from bus.delivery import Delivery, Entry, Grave
from bus.documents import EVENTS, INBOX, Database
from bus.handling import GAVE_UP
from bus.publisher import Publisher, added
from contracts import sealed
from contracts.actor import Actor
from contracts.auth.commands import RegisterUser
from contracts.corp.commands import CreateOrganization
from contracts.envelope import Envelope
from contracts.types import now
from infra import mongo
from infra.embedded import valkey as valkey_server
from infra.embedded.ports import free_port
from infra.settings import MongoSettings, settings
from scripts.grid8.__main__ import main

ROOT = Path(__file__).parents[2]
ACTOR = Actor(user="usr_1", session="ses_1")
CORP = streams.commands("corp")


class Place:
    """Servers, an environment that names them, and the roles that run on them."""

    def __init__(self, mongo_url: str, redis_url: str, folder: Path) -> None:
        self.database_name = f"tools-{uuid.uuid4().hex[:8]}"
        self.mongo_url = mongo_url
        self.redis_url = redis_url.removesuffix("/0") + "/2"
        self.ops = free_port()
        self.folder = folder
        self.env = {
            **{name: value for name, value in os.environ.items() if name != "EDITOR"},
            "GRID8_MONGO__URL": mongo_url,
            "GRID8_MONGO__DATABASE": self.database_name,
            "GRID8_REDIS__URL": self.redis_url,
            "GRID8_SECRETS__KEYS": base64.b64encode(bytes(32)).decode(),
            "GRID8_DATA_FOLDER": str(folder / "data"),
            "GRID8_NOTIFIER__PORT": "0",
            "GRID8_OPS__PORT": str(self.ops),
            "GRID8_WORKER__CLAIM_AFTER": "1",
            "GRID8_WORKER__HEARTBEAT": "0.2",
        }

    def run(self, *arguments: str, given: str | None = None, **env: str) -> Result:
        """In this process, because most of what a process does is to import."""
        settings.cache_clear()
        try:
            with capture_logs():
                return CliRunner().invoke(main, arguments, input=given, env={**self.env, **env})
        finally:
            settings.cache_clear()

    def fine(self, *arguments: str, given: str | None = None, **env: str) -> str:
        ran = self.run(*arguments, given=given, **env)
        assert ran.exit_code == 0, ran.stderr
        return ran.stdout

    def json(self, *arguments: str, given: str | None = None) -> Any:
        return json.loads(self.fine(*arguments, "--json", given=given))

    def refused(self, *arguments: str, given: str | None = None, code: int = 1, **env: str) -> str:
        ran = self.run(*arguments, given=given, **env)
        assert ran.exit_code == code, ran.output
        assert ran.exception is None or isinstance(ran.exception, SystemExit)
        return ran.stderr


@pytest.fixture(scope="module")
def _place(
    mongo_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    place = Place(mongo_url, redis_url, tmp_path_factory.mktemp("tools"))
    asyncio.run(_begin(place))
    command = [sys.executable, "-m", "handlers"]
    subprocess.run(
        [*command, "prepare"], cwd=ROOT, env=place.env, check=True, timeout=60,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    log = (place.folder / "roles.log").open("wb")
    roles = subprocess.Popen(
        [*command, "corp", "notifier", "relay"], cwd=ROOT, env=place.env, stdout=log, stderr=log
    )
    try:
        deadline = time.monotonic() + 30
        while not _answers(f"http://127.0.0.1:{place.ops}/ready"):
            assert roles.poll() is None, (place.folder / "roles.log").read_text()
            assert time.monotonic() < deadline, (place.folder / "roles.log").read_text()
            time.sleep(0.05)
        yield place
    finally:
        roles.terminate()
        roles.wait(30)
        log.close()
        asyncio.run(_drop(place))


async def _begin(place: Place) -> None:
    """Emptied, but for the user whose commands are buried."""
    connection = connect(place.redis_url)
    await connection.flushdb()
    await connection.aclose()
    client, database = mongo.connect(
        MongoSettings(url=place.mongo_url, database=place.database_name)
    )
    person = {"email": "ann@example.org", "name": "Ann", "revision": 1}
    await database["corp_people"].insert_one({"_id": ACTOR.user, **person})
    await client.close()


async def _drop(place: Place) -> None:
    client, _ = mongo.connect(MongoSettings(url=place.mongo_url))
    await client.drop_database(place.database_name)
    await client.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Hands:
    """What a test does beside the processes."""

    def __init__(self, redis: Any, database: Database) -> None:
        self.redis = redis
        self.database = database
        self.publisher = Publisher(redis)

    async def bury(self, command: CreateOrganization | RegisterUser, domain: str) -> Envelope:
        """A dead letter as a worker leaves it, inbox included."""
        envelope = Envelope.of_command(command, source="/grid8/tests", actor=ACTOR)
        stream = streams.commands(domain)
        _, _, _, field, value = added(envelope)
        delivery = Delivery(self.redis, self.publisher.pipeline, stream, domain, "test", 1.0)
        fields = {str(field).encode(): bytes(value)}
        # Read in the same step, or the running worker would be quicker.
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.xadd(stream, fields)
            pipe.xreadgroup(domain, "test", {stream: ">"})
            id, _ = await pipe.execute()
        entry = Entry(id.decode(), fields, 5)
        failed = {"command_id": envelope.id, "status": "failed", "actor": ACTOR.user}
        await self.database[INBOX].insert_one(
            {
                "_id": f"{domain}:{envelope.id}",
                "at": now(),
                "outcome": {**failed, "failure": GAVE_UP.model_dump(mode="json")},
            }
        )
        await delivery.bury(entry, Grave("RuntimeError: it broke", "the_handler", 5, "Traceback …"))
        return envelope

    async def outcome(self, envelope: Envelope) -> dict[str, Any] | None:
        found = await self.database[INBOX].find_one({"_id": f"corp:{envelope.id}"})
        return found["outcome"] if found else None

    async def succeeded(self, *envelopes: Envelope) -> None:
        """Wait until all are carried out; fail with what is known of the first that is not."""
        for envelope in envelopes:
            deadline = time.monotonic() + 15
            while not (found := await self.outcome(envelope)) or found["status"] != "succeeded":
                assert time.monotonic() < deadline, found
                await asyncio.sleep(0.02)


@pytest.fixture
def place(_place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    # Commands run in this process must leave its keys and its logging alone.
    monkeypatch.setattr(sealed, "_keys", [])
    sealed.use_keys([os.urandom(32)])
    monkeypatch.setattr("infra.logs.configure", lambda *_, **__: None)
    return _place


@pytest.fixture
async def hands(place: Place) -> AsyncIterator[Hands]:
    connection = connect(place.redis_url)
    client, database = mongo.connect(
        MongoSettings(url=place.mongo_url, database=place.database_name)
    )
    for domain in ("auth", "corp", "asset", "mail", "inbox", "notifier"):
        await connection.delete(streams.dead(domain))
    await database[OPERATOR_LOG].delete_many({})
    yield Hands(connection, database)
    await connection.aclose()
    await client.close()


async def until(true: Callable[[], Awaitable[Any]], what: str, seconds: float = 15.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (seen := await true()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.02)
    return seen


def event(**more: Any) -> str:
    given = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": "/shop/prices",
        "type": "custom.price.changed",
        "org": "org_1",
        "data": {"price": 3.5},
        **more,
    }
    return json.dumps({name: value for name, value in given.items() if value is not None})


async def test_streams_are_shown_once_where_there_is_no_terminal(
    place: Place, hands: Hands
) -> None:
    await hands.redis.xadd(streams.dead("corp"), {"reason": "x"})
    shown = await asyncio.to_thread(place.fine, "streams", COLUMNS="160")
    lines = [line.split() for line in shown.splitlines()]
    assert lines[0][:5] == ["STREAM", "GROUP", "LENGTH", "LAG", "PENDING"]
    rows = {(line[0], line[1]) for line in lines[1:] if len(line) > 1}
    assert {(CORP, "corp"), (streams.events("custom"), "inbox")} <= rows
    assert any(line[0] == streams.dead("corp") for line in lines[1:])


def test_streams_as_json_say_who_reads(place: Place) -> None:
    reports = {each["stream"]: each for each in place.json("streams")}
    assert not reports[streams.commands("custom")]["exists"]
    (group,) = reports[CORP]["groups"]
    assert group["name"] == "corp"
    assert group["consumers"][0]["idle"] < 5
    assert reports[CORP]["adds_per_second"] == 0
    assert streams.push(3) in reports


def test_the_live_table_ends_with_code_0_at_ctrl_c(place: Place) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        # Whoever runs the tests in the background has it ignored, and so would this.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.environ.update({**place.env, "COLUMNS": "160", "LINES": "60", "TERM": "xterm"})
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "scripts.grid8", "streams"])
    seen = b""
    deadline = time.monotonic() + 30
    # Twice: it was drawn, and drawn again.
    while seen.count(b"STREAM") < 2:
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65536)
    os.kill(pid, signal.SIGINT)
    _, status = _reap(pid, terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"grid8:{corp}:cmd" in seen


def _reap(pid: int, terminal: int) -> tuple[int, int]:
    """Read on, so that the process can write and end."""
    deadline = time.monotonic() + 15
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
        assert time.monotonic() < deadline, "it does not end"
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:
                continue  # the other side is closed
    os.close(terminal)
    return ended


async def test_the_relay_exports_what_the_streams_look_like(place: Place, hands: Hands) -> None:
    await hands.redis.xadd(streams.dead("asset"), {"reason": "x"})

    def metrics() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{place.ops}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    async def exported() -> bool:
        text = await asyncio.to_thread(metrics)
        return 'grid8_dead_letters_waiting{domain="asset"} 1.0' in text

    await until(exported, "the gauge of dead letters")
    text = await asyncio.to_thread(metrics)
    assert f'grid8_stream_lag{{group="corp",stream="{CORP}"}} 0.0' in text


async def test_dead_letters_are_listed_filtered_and_shown(place: Place, hands: Hands) -> None:
    assert "no such dead letters" in await asyncio.to_thread(place.fine, "dead-letters", "list")
    envelope = await hands.bury(CreateOrganization(name="Acme"), "corp")
    secret = RegisterUser.model_validate(
        {"email": "a@example.org", "password": "correct horse battery", "name": "Ann"}
    )
    await hands.bury(secret, "auth")

    def look() -> None:
        both = place.json("dead-letters", "list")
        assert [each["type"] for each in both] == ["auth.user.register", "corp.organization.create"]
        for wanted in (
            ("--domain", "corp"),
            ("--type", "corp.*"),
            ("--domain", "corp", "--reason", "IT BROKE", "--since", "1h"),
        ):
            (letter,) = place.json("dead-letters", "list", *wanted)
            assert letter["message"] == envelope.id
        for wanted in (("--reason", "other"), ("--until", "1h"), ("--since", "2099-01-01")):
            assert place.json("dead-letters", "list", *wanted) == []
        table = place.fine("dead-letters", "list")
        assert letter["id"] in table
        assert "RuntimeError: it broke" in table

        shown = place.fine("dead-letters", "show", letter["id"])
        for part in (envelope.id, '"name": "Acme"', "the_handler", "Traceback …", "RuntimeError"):
            assert part in shown
        sealed_one = place.fine("dead-letters", "show", both[0]["id"])
        assert "sealed.v1." in sealed_one
        assert "correct horse" not in sealed_one
        assert "no dead letter corp/1-1" in place.refused("dead-letters", "show", "corp/1-1")
        assert "--since" in place.refused("dead-letters", "list", "--since", "soon", code=2)

    await asyncio.to_thread(look)


async def test_a_redriven_command_is_carried_out_by_the_worker(place: Place, hands: Hands) -> None:
    envelope = await hands.bury(CreateOrganization(name="Acme"), "corp")

    def act() -> None:
        assert "Aborted" in place.refused("dead-letters", "redrive", "--all", given="n\n")
        assert place.refused("dead-letters", "redrive", "--yes", code=2)
        assert place.refused("dead-letters", "redrive", "--all", "corp/1-1", "--yes", code=2)
        assert len(place.json("dead-letters", "list")) == 1
        done = place.json("dead-letters", "redrive", "--all", "--domain", "corp", "--yes")
        assert len(done) == 1
        assert "entry" in done[0]
        assert place.json("dead-letters", "list") == []

    await asyncio.to_thread(act)
    await hands.succeeded(envelope)
    assert await hands.database["organizations"].count_documents({"name": "Acme"}) == 1
    (record,) = await hands.database[OPERATOR_LOG].find().to_list()
    assert (record["action"], record["done"]) == ("redrive", True)


async def test_redriving_goes_no_faster_than_the_rate(place: Place, hands: Hands) -> None:
    envelopes = [
        await hands.bury(CreateOrganization(name=f"Slow {number}"), "corp") for number in range(6)
    ]
    ran = await asyncio.to_thread(
        place.fine, "dead-letters", "redrive", "--all", "--yes", "--rate", "5/s"
    )
    assert ran == "6 redriven, 0 not.\n"
    records = await hands.database[OPERATOR_LOG].find().sort("at", 1).to_list()
    assert (records[-1]["at"] - records[0]["at"]).total_seconds() >= 5 / 5 * 0.95
    await hands.succeeded(*envelopes)


async def test_an_edit_in_the_editor_is_checked_recorded_and_carried_out(
    place: Place, hands: Hands
) -> None:
    envelope = await hands.bury(CreateOrganization(name="Wrong"), "corp")
    editor = place.folder / "editor.py"
    editor.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\nfile = pathlib.Path(sys.argv[1])\n"
        "file.write_text(file.read_text().replace('Wrong', 'Right'))\n"
    )
    editor.chmod(0o755)
    broken = place.folder / "broken.json"
    broken.write_text('{"name": "", "slag": "x"}')

    def act() -> None:
        (letter,) = place.json("dead-letters", "list")
        said = place.refused("dead-letters", "edit", letter["id"], "--data", str(broken))
        assert "name:" in said
        assert "slag:" in said
        said = place.refused("dead-letters", "edit", letter["id"], "--data", "-", given="{")
        assert "not JSON" in said
        assert place.json("dead-letters", "list") == [letter]
        assert "Nothing was changed" in place.refused(
            "dead-letters", "edit", letter["id"], EDITOR="true"
        )
        place.fine("dead-letters", "edit", letter["id"], EDITOR=str(editor))
        (edited,) = place.json("dead-letters", "list")
        assert edited["id"] != letter["id"]
        assert edited["edited_by"]
        shown = place.json("dead-letters", "show", edited["id"])
        assert shown["envelope"]["data"] == {"name": "Right"}
        assert shown["original"] == letter["id"].partition("/")[2]
        place.fine("dead-letters", "redrive", edited["id"], "--yes")

    await asyncio.to_thread(act)
    await hands.succeeded(envelope)
    assert await hands.database["organizations"].count_documents({"name": "Right"}) == 1
    edit, redrive = await hands.database[OPERATOR_LOG].find().sort("at", 1).to_list()
    assert (edit["action"], redrive["action"]) == ("edit", "redrive")
    assert (edit["changed"], edit["after"]) == (["name"], redrive["before"])


async def test_an_edited_letter_says_who_changed_what_to_people_too(
    place: Place, hands: Hands
) -> None:
    await hands.bury(CreateOrganization(name="Wrong"), "corp")
    data = place.folder / "data.json"

    def act() -> None:
        (letter,) = place.json("dead-letters", "list")
        for name in ("Better", "Best"):
            data.write_text(json.dumps({"name": name}))
            letter = place.json("dead-letters", "edit", letter["id"], "--data", str(data))
        assert [each["changed"] for each in letter["edits"]] == [["name"], ["name"]]
        assert "@" in letter["edits"][0]["by"]
        lines = [
            line for line in place.fine("dead-letters", "show", letter["id"]).splitlines()
            if line.startswith("edit ")
        ]  # fmt: skip
        assert len(lines) == 2
        assert letter["edits"][0]["by"] in lines[0]
        assert "['name']" in lines[0]
        listed = place.fine("dead-letters", "list", COLUMNS="200")
        assert "corp.organization.create (edited)" in listed

    await asyncio.to_thread(act)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b"\xff\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"name": NaN}', "not JSON"),
        (b'["name"]', "object"),
        (b"", "not JSON"),
    ],
    ids=["no text", "deep", "NaN", "array", "nothing"],
)
async def test_an_edit_that_is_no_object_is_one_sentence(
    place: Place, hands: Hands, given: bytes, says: str
) -> None:
    await hands.bury(CreateOrganization(name="Acme"), "corp")
    data = place.folder / "data.json"
    data.write_bytes(given)

    def act() -> None:
        (letter,) = place.json("dead-letters", "list")
        said = place.refused("dead-letters", "edit", letter["id"], "--data", str(data))
        assert says in said
        assert len(said.splitlines()) == 1

    await asyncio.to_thread(act)


async def test_tables_fit_a_narrow_terminal_and_are_whole_where_there_is_none(
    place: Place, hands: Hands
) -> None:
    envelope = await hands.bury(CreateOrganization(name="Acme"), "corp")
    letter = {b"reason": ("é" * 300 + "\x1b[31m [red]").encode(), b"attempts": b"5"}
    await hands.redis.xadd(streams.dead("corp"), letter)

    def act() -> None:
        ids = [each["id"] for each in place.json("dead-letters", "list")]
        for arguments in (("dead-letters", "list"), ("streams", "--once")):
            for width in (80, 200):
                shown = place.fine(*arguments, COLUMNS=str(width))
                assert max(map(len, shown.splitlines())) <= width, shown
                assert "…" not in shown
                assert "\x1b" not in shown
        narrow = place.fine("dead-letters", "list", COLUMNS="80")
        assert all(id in narrow for id in ids), "an id is to be copied"
        piped = place.fine("dead-letters", "list").splitlines()
        assert len(piped) == 1 + len(ids), "a line for each"
        assert "é" * 300 + " [31m [red]" in piped[2]
        assert envelope.type in piped[1]
        some = place.run("dead-letters", "list", "--limit", "1")
        assert some.stderr == "… and 1 more: --limit\n"

    await asyncio.to_thread(act)


async def test_ctrl_c_stops_between_letters_and_says_how_far_it_got(
    place: Place, hands: Hands
) -> None:
    for number in range(8):
        await hands.bury(CreateOrganization(name=f"Many {number}"), "corp")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scripts.grid8", "dead-letters", "redrive", "--all", "--yes",
        "--rate", "2/s",
        cwd=ROOT, env=place.env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def begun() -> bool:
        return await hands.redis.xlen(streams.dead("corp")) < 8

    await until(begun, "the first to be redriven", 30)
    process.send_signal(signal.SIGINT)
    said, errors = await asyncio.wait_for(process.communicate(), 30)
    left = await hands.redis.xlen(streams.dead("corp"))
    assert process.returncode == 130, errors
    assert said.decode() == f"{8 - left} redriven, 0 not. Stopped before the last {left}.\n"
    assert await hands.database[OPERATOR_LOG].count_documents({"done": True}) == 8 - left


def test_the_live_table_goes_on_while_redis_is_away() -> None:
    valkey, folder = None, Path(tempfile.mkdtemp())
    port = free_port()
    command = valkey_server.command(valkey_server.find(), port, folder)
    env = {"GRID8_REDIS__URL": f"redis://127.0.0.1:{port}/0", "TERM": "xterm"}
    pid = 0
    try:
        valkey = _valkey(command, folder, port)
        pid, terminal = pty.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # as above
            os.environ.update(env)
            os.chdir(ROOT)
            os.execv(sys.executable, [sys.executable, "-m", "scripts.grid8", "streams"])
        _see(terminal, b"STREAM")
        valkey.kill()
        valkey.wait()
        _see(terminal, b"Redis: ", b"what it was before")
        valkey = _valkey(command, folder, port)
        connection = redis.Redis(port=port)
        connection.xadd(streams.dead("corp"), {"reason": "x"})
        connection.close()
        _see(terminal, streams.dead("corp").removeprefix("grid8:").encode())
        os.kill(pid, signal.SIGINT)
        _, status = _reap(pid, terminal)
        pid = 0
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        if valkey is not None:
            valkey.kill()
            valkey.wait()
        shutil.rmtree(folder)


def _valkey(command: Sequence[str], folder: Path, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while True:
        try:
            with redis.Redis(port=port) as connection:
                connection.ping()
            return process
        except redis.RedisError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _see(terminal: int, *words: bytes) -> None:
    """Read the terminal until it has shown these words, from now on."""
    seen, deadline = b"", time.monotonic() + 60
    while not all(word in seen for word in words):
        assert time.monotonic() < deadline, seen[-2000:]
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 65536)


async def test_dropped_letters_are_gone_and_those_that_were_gone_are_an_error(
    place: Place, hands: Hands
) -> None:
    await hands.bury(CreateOrganization(name="Drop me"), "corp")

    def act() -> None:
        (letter,) = place.json("dead-letters", "list")
        assert "Aborted" in place.refused("dead-letters", "drop", letter["id"], given="")
        assert place.fine("dead-letters", "drop", letter["id"], given="y\n").endswith(
            "1 dropped, 0 not.\n"
        )
        place.refused("dead-letters", "drop", letter["id"], "--yes")
        assert place.fine("dead-letters", "drop", "--all", "--yes") == "0 dropped, 0 not.\n"

    await asyncio.to_thread(act)
    (record,) = await hands.database[OPERATOR_LOG].find().to_list()
    assert (record["action"], record["after"]) == ("drop", None)


async def test_a_published_event_is_in_the_log_and_pushed_by_the_notifier(
    place: Place, hands: Hands
) -> None:
    document = event()
    file = place.folder / "event.json"
    file.write_text(document)
    (answer,) = await asyncio.to_thread(place.json, "publish", str(file))
    assert answer["repeated"] is False
    logged = await hands.database[EVENTS].find_one({"_id": answer["event"]})
    assert logged is not None
    assert logged["data"] == {"price": 3.5}
    (entry,) = [
        fields
        for _, fields in await hands.redis.xrange(streams.events("custom"))
        if Envelope.model_validate_json(decode(fields)).id == answer["event"]
    ]
    assert entry

    async def pushed() -> bool:
        found = []
        for shard in range(4):
            found += await hands.redis.xrange(streams.push(shard))
        return any(fields.get(b"id") == answer["event"].encode() for _, fields in found)

    await until(pushed, "the notifier to push it")
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "scripts.grid8", "publish", "--json", "-"],
        cwd=ROOT, env=place.env, input=document.encode(), capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout) == [{**answer, "repeated": True}], "and no log line among it"


def test_a_batch_is_published_from_stdin_or_not_at_all(place: Place) -> None:
    batch = f"[{event(id='a')}, {event(id='b', org=None)}]"
    said = place.refused("publish", "-", given=batch)
    assert "/1/org: custom.price.changed needs an organization" in said
    assert "/0" not in said
    answers = place.json("publish", "-", "--org", "org_1", given=batch)
    assert [(each["id"], each["repeated"]) for each in answers] == [("a", False), ("b", False)]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "That is not JSON"),
        (event(specversion="2.0"), "/specversion: "),
        (event(source=None), "/source: is required"),
        (event(type="corp.brand.made"), "/type: "),
        (event(type="corp.brand.created", data={"brand_id": "brd_1"}), "/data/name: "),
        (event(actor="usr_1"), "/actor: is set by Grid8"),
        ('{"specversion": NaN}', "no JSON number"),
    ],
)
def test_what_is_wrong_with_an_event_is_said(place: Place, document: str, says: str) -> None:
    assert says in place.refused("publish", "-", given=document)


@pytest.mark.parametrize(
    "command", [("streams",), ("dead-letters", "list"), ("publish", "-")], ids=lambda c: c[0]
)
def test_without_a_stack_one_sentence_says_so(place: Place, command: tuple[str, ...]) -> None:
    env = {name: value for name, value in place.env.items() if not name.startswith("GRID8_")}
    env["GRID8_DATA_FOLDER"] = str(place.folder / "none")
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.grid8", *command],
        cwd=ROOT, env=env, input=event(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: No stack runs here.")
    assert ran.stdout == ""


def test_a_server_that_is_away_is_one_sentence(place: Place) -> None:
    said = place.refused("streams", GRID8_REDIS__URL=f"redis://127.0.0.1:{free_port()}/0")
    assert said.startswith("Error: Redis: ")
    assert len(said.splitlines()) == 1
