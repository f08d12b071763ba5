"""AsyncAPI 3.0 as ``grid8 asyncapi`` writes it: its structure, and every change in a diff.

The schema that the specification publishes is in the npm package @asyncapi/specs only
(schemas/3.0.0-without-$id.json); a document changed in structure should be held against it.

``UPDATE_SNAPSHOTS=1`` writes the snapshot anew.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

import contracts.catalog
from bus.broker import decode, encode
from contracts import sealed
from contracts.actor import Actor
from contracts.auth.commands import RegisterUser
from contracts.base import Command, Event, Message
from contracts.corp.events import BrandCreated
from contracts.envelope import Envelope
from handlers.topology import DOMAINS, reads

assert contracts.catalog

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).parent / "snapshots" / "asyncapi.json"
Document = dict[str, Any]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    # Where no stack runs, and none is set.
    env = {"GRID8_DATA_FOLDER": str(tmp_path_factory.mktemp("none"))}
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.grid8", "asyncapi"],
        cwd=ROOT, env={**os.environ, **env},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return ran.stdout


@pytest.fixture(scope="module")
def document(text: str) -> Document:
    found: Document = json.loads(text)
    return found


def walk(node: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in the document, with where it is."""
    if isinstance(node, dict):
        yield path, node
        for name, part in node.items():
            yield from walk(part, f"{path}/{name}")
    elif isinstance(node, list):
        for index, part in enumerate(node):
            yield from walk(part, f"{path}/{index}")


def resolve(document: Document, reference: str) -> Any:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def wires(document: Document, channel: str) -> set[str]:
    messages = document["channels"][channel]["messages"].values()
    return {resolve(document, each["$ref"])["name"] for each in messages}


def known(kind: type[Message]) -> list[type[Message]]:
    """Contracts of the catalog; tests elsewhere may have declared more."""
    return [each for each in kind.all() if each.__module__.startswith("contracts.")]


def test_it_is_what_it_was(text: str) -> None:
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text(), "if it is meant: UPDATE_SNAPSHOTS=1"


def test_every_reference_resolves(document: Document) -> None:
    references = [node["$ref"] for _, node in walk(document) if isinstance(node.get("$ref"), str)]
    assert len(references) > 100
    for reference in references:
        assert reference.startswith("#/")
        assert isinstance(resolve(document, reference), dict), reference


def test_the_document_has_what_version_3_requires(document: Document) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert document["info"]["title"] == "Grid8"
    assert document["info"]["version"]
    assert set(document) <= {
        *("asyncapi", "info", "defaultContentType", "servers"),
        *("channels", "operations", "components"),
    }
    for server in document["servers"].values():
        assert server["host"]
        assert server["protocol"] in ("redis", "ws", "http")
    key = re.compile(r"[a-zA-Z0-9._-]+")
    for section in document["components"].values():
        assert all(key.fullmatch(name) for name in section)


def test_channels_refer_to_servers_and_to_messages_of_components(document: Document) -> None:
    for name, channel in document["channels"].items():
        assert channel["servers"], name
        for server in channel["servers"]:
            assert server["$ref"].startswith("#/servers/")
        assert channel["messages"], name
        for message in channel["messages"].values():
            assert message["$ref"].startswith("#/components/messages/")


def test_each_brace_in_an_address_is_a_declared_parameter_that_stands_for_itself(
    document: Document,
) -> None:
    for channel in document["channels"].values():
        names = set(re.findall(r"{([^}]*)}", channel["address"] or ""))
        assert names == set(channel.get("parameters", {}))
        for name in names:
            assert channel["parameters"][name]["enum"] == [f"{{{name}}}"]


def test_operations_send_or_receive_messages_of_their_channel(document: Document) -> None:
    for name, operation in document["operations"].items():
        assert operation["action"] in ("send", "receive"), name
        channel = operation["channel"]["$ref"]
        assert re.fullmatch(r"#/channels/[^/]+", channel)
        assert operation["messages"], name
        for message in operation["messages"]:
            # Operations refer to the channel's messages, never to those of components.
            assert message["$ref"].startswith(f"{channel}/messages/"), name
        if reply := operation.get("reply"):
            assert reply["address"]["location"].startswith("$message.")
            # 3.0: a reply with an address needs a channel without.
            assert resolve(document, reply["channel"]["$ref"])["address"] is None


def test_every_command_is_in_its_lane_and_received_by_its_domain(document: Document) -> None:
    for contract in known(Command):
        assert issubclass(contract, Command)
        channel = f"{contract.domain()}.commands" + (".slow" if contract.lane == "slow" else "")
        assert contract.wire in wires(document, channel)
        tail = ":cmd.slow" if contract.lane == "slow" else ":cmd"
        assert document["channels"][channel]["address"].endswith(tail)
        assert document["operations"][f"{channel}.receive"]["x-group"] == contract.domain()
        assert document["operations"][f"{channel}.send"]["reply"]


def test_every_event_is_received_by_the_groups_that_read_it(document: Document) -> None:
    assert {each.wire for each in known(Event)} == {
        wire for domain in DOMAINS for wire in wires(document, f"{domain}.events")
    }
    for group in (*DOMAINS, "notifier"):
        for source in reads(group):
            operation = document["operations"][f"{source}.events.receive.{group}"]
            assert operation["x-group"] == group
    everything = document["operations"]["corp.events.receive.notifier"]["messages"]
    assert len(everything) == len(document["channels"]["corp.events"]["messages"])
    assert wires(document, "custom.events") == {"custom"}


def test_each_message_has_headers_and_a_cloudevent_with_the_data_of_its_contract(
    document: Document,
) -> None:
    for contract in (*known(Command), *known(Event)):
        message = document["components"]["messages"][f"{contract.wire}.v{contract.wire_version}"]
        assert message["contentType"] == "application/cloudevents+json"
        assert message["summary"]
        assert "message_id" in resolve(document, message["headers"]["$ref"])["properties"]
        envelope, more = message["payload"]["allOf"]
        assert envelope == {"$ref": "#/components/schemas/Envelope"}
        assert more["properties"]["type"] == {"const": contract.wire}
        data = resolve(document, more["properties"]["data"]["$ref"])
        assert set(data.get("properties", {})) == set(contract.model_fields)


def test_the_schemas_are_json_schemas_of_the_draft_that_asyncapi_knows(
    document: Document,
) -> None:
    for name, schema in document["components"]["schemas"].items():
        Draft7Validator.check_schema(schema)
        later = {"$defs", "prefixItems", "dependentRequired", "unevaluatedProperties"}
        for path, node in walk(schema, name):
            assert not later & set(node), path


def test_real_messages_fit_their_schemas_and_others_do_not(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "_keys", [])
    sealed.use_keys([os.urandom(32)])
    actor = Actor(user="usr_1", org="org_1")
    command = RegisterUser.model_validate(
        {"email": "ann@example.org", "password": "correct horse battery", "name": "Ann"}
    )
    asked = Envelope.of_command(command, source="/grid8/gateway", actor=actor)
    event = BrandCreated.model_validate(dict.fromkeys(BrandCreated.model_fields, "brd_1"))
    told = asked.caused_event(event, salt="", revision=1, org="org_1")
    for envelope in (asked, told):
        wire = json.loads(decode({b"__data__": encode(envelope.wire(), id="x", correlation=None)}))
        message = document["components"]["messages"][f"{envelope.type}.v1"]
        validator = Draft7Validator({**message["payload"], "components": document["components"]})
        assert [error.message for error in validator.iter_errors(wire)] == []
        assert not validator.is_valid({**wire, "type": "something.else"})
        assert not validator.is_valid({**wire, "data": {}})
    in_clear = {**json.loads(asked.wire())}
    in_clear["data"]["password"] = "correct horse battery"
    message = document["components"]["messages"][f"{asked.type}.v1"]
    validator = Draft7Validator({**message["payload"], "components": document["components"]})
    assert not validator.is_valid(in_clear), "a secret is never in clear on the bus"


def test_the_realtime_interface_is_there_in_short(document: Document) -> None:
    from handlers.notifier.app import SSE_PATH, WS_PATH

    channels = document["channels"]
    assert channels["realtime.ws"]["address"] == WS_PATH
    assert channels["realtime.sse"]["address"] == SSE_PATH
    assert {"subscribe", "subscribed", "event", "reset", "error"} <= set(
        channels["realtime.ws"]["messages"]
    )


def test_it_is_written_to_a_file(tmp_path: Path, text: str) -> None:
    out = tmp_path / "asyncapi.json"
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.grid8", "asyncapi", "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "GRID8_DATA_FOLDER": str(tmp_path)},
    )  # fmt: skip
    assert ran.stdout == ""
    assert out.read_text() == text


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        (
            {"GRID8_REDIS__URL": "rediss://ann:secret@cache:6380/1"},
            ["rediss://cache:6380", "ws://127.0.0.1:8001", "http://127.0.0.1:8001"],
        ),
        (
            {"GRID8_NOTIFIER__PUBLIC_URL": "https://live.example.org/rt/"},
            ["redis://127.0.0.1:6379", "wss://live.example.org/rt", "https://live.example.org/rt"],
        ),
        (
            {"GRID8_NOTIFIER__HOST": "::", "GRID8_NOTIFIER__PORT": "9001"},
            ["redis://127.0.0.1:6379", "ws://[::1]:9001", "http://[::1]:9001"],
        ),
    ],
    ids=["redis", "public url", "any address"],
)
def test_the_servers_are_those_that_are_set_without_their_passwords(
    given: dict[str, str], hosts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.settings import Settings
    from scripts.grid8.asyncapi import servers_of

    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = servers_of(Settings())
    assert [
        f"{found[name]['protocol']}://{found[name]['host']}{found[name].get('pathname', '')}"
        for name in ("redis", "websocket", "http")
    ] == hosts
    assert "secret" not in json.dumps(found)
